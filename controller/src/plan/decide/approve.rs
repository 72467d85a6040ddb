//! The approval, the permission to disrupt a node: who may have one, keeps it, and loses it unused.

use api::shadow::Desired;
use api::{Shadow, State};
use jiff::SignedDuration;

use super::adjust::adjusted;
use super::silent;
use crate::action::Verb;
use crate::plan::blocking::write_failure_hold;
use crate::plan::decision::{Decision, Limited};
use crate::plan::desired;
use crate::plan::hold::Hold;
use crate::plan::node_view::NodeView;
use crate::plan::permission::{approval_expiry, forbids_disruption, retry_at};
use crate::plan::rules::Rules;

/// An approval that was not used yet is renewed when less than this is left of it.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// The image is staged: the node may be disrupted if nothing forbids it and there is a place.
pub(super) fn staged<'a>(node: &NodeView<'a>, shadow: &Shadow, rules: &Rules<'a>) -> Decision<'a> {
    let waits = adjusted(node, shadow, rules.snapshot).unwrap_or_else(Decision::wait);
    let Some(version) = node.desired_version() else { return waits };
    if let Some(hold) = forbids_disruption(node, rules) {
        let policy = node.owner.policy();
        let until = policy.and_then(|policy| rules.releases.held_until(policy, version, rules.now));
        return Decision::hold(hold).until(until).until(retry_at(node, rules, version)).with(waits);
    }
    match write_failure_hold(rules.snapshot, node) {
        Some(stuck) => Decision::hold(stuck).with(waits),
        None => Decision::candidate(Limited::Approval, version, waits),
    }
}

/// An unused approval is withdrawn where it would not be given now.
pub(super) fn withdrawn<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Option<Decision<'a>> {
    forbids_disruption(node, rules).map(|hold| withdraw(shadow, rules, hold))
}

/// The approval ends; the image stays staged.
pub(in crate::plan) fn withdraw<'a>(shadow: &Shadow, rules: &Rules<'_>, hold: Hold) -> Decision<'a> {
    let state = State::StagedAndPerformedUpdate;
    let desired = Desired { state, ..desired::without_approval(shadow, rules.now) };
    Decision::write(Verb::Withdraw, shadow, desired).with(Decision::hold(hold))
}

/// Renews an unused approval as long as it would still be given. One that has expired does no harm: the node waits for
/// the next decision.
pub(super) fn kept<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Decision<'a> {
    let renewal = renewal(node, shadow, rules);
    if renewal.action().is_some() {
        return renewal;
    }
    let adjusted = adjusted(node, shadow, rules.snapshot);
    renewal.with(adjusted.unwrap_or_else(|| silent::waits_for_agent(node, rules.now)))
}

fn renewal<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Decision<'a> {
    let Some(expiry) = shadow.desired.disrupt_not_after else { return Decision::wait() };
    let renew_at = expiry.checked_sub(RENEW_BEFORE).unwrap_or(expiry);
    if renew_at > rules.now {
        return Decision::wait().until([renew_at]);
    }
    let (Some(policy), Some(version)) = (node.owner.policy(), &shadow.desired.version) else { return Decision::wait() };
    let later = approval_expiry(rules, policy, node, version);
    if later.is_none_or(|later| later <= expiry) {
        // The window closes then.
        return Decision::wait().until([expiry]);
    }
    let desired = Desired {
        disrupt_not_after: later,
        policy: Some(policy.name.clone()),
        ..desired::under(policy, shadow.desired.clone())
    };
    Decision::write(Verb::Renew, shadow, desired)
}
