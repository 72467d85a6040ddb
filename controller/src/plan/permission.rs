//! What a policy lets a node do now, whatever the other nodes do: pause, halt, schedule, versions.

use api::{HoldReason, text};
use jiff::{SignedDuration, Timestamp};
use semver::Version;

use super::backoff;
use super::blocking::blocking_reason;
use super::deadline::given_up_until;
use super::hold::Hold;
use super::node_view::NodeView;
use super::ownership::Owner;
use super::rules::Rules;
use super::window::{self, Window};
use crate::snapshot::PolicyFacts;

/// How far ahead an approval expires.
const APPROVAL_HOLDS_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Why the policy forbids to start `version` on this node, whatever else is in flight; the pause is not asked. An image
/// may be staged before a window opens; an original agent activates while it stages.
pub(super) fn forbids_start(
    rules: &Rules<'_>,
    policy: &PolicyFacts,
    node: &NodeView<'_>,
    version: &Version,
) -> Option<Hold> {
    let closed = || {
        let closed = window_hold(rules, policy, node, version).filter(|_| node.has_original_agent)?;
        let reason = match closed.reason {
            HoldReason::OutsideWindow => HoldReason::OriginalOutsideWindow,
            never => never,
        };
        Some(Hold::new(reason, format!("an original agent is not started: {}", closed.message)))
    };
    forbids(rules, policy, version).or_else(closed)
}

/// Why the node must not be disrupted now, whatever else is disrupted.
pub(super) fn forbids_disruption(node: &NodeView<'_>, rules: &Rules<'_>) -> Option<Hold> {
    let Some(policy) = node.owner.policy() else { return Some(no_owner_hold(&node.owner)) };
    let version = node.desired_version()?;
    pause_hold(policy)
        .or_else(|| forbids(rules, policy, version))
        .or_else(|| window_hold(rules, policy, node, version))
        .or_else(|| rules.releases.forbid(policy, version, rules.now))
        .or_else(|| blocking_reason(node, version, rules.now))
}

/// The hold of a paused policy. A start asks for it last, so that `status.next` lists the nodes that nothing but the
/// pause holds.
pub(super) fn pause_hold(policy: &PolicyFacts) -> Option<Hold> {
    let paused = policy.accepted.as_ref().is_ok_and(|accepted| accepted.paused);
    paused.then(|| Hold::new(HoldReason::Paused, format!("policy {} is paused", policy.name)))
}

/// Why nobody may update the node.
pub(super) fn no_owner_hold(owner: &Owner<'_>) -> Hold {
    match owner {
        Owner::Tied(policies) => {
            let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
            let message = format!("policies {} select the node with the same priority", text::names(&names));
            Hold::new(HoldReason::Conflict, message)
        }
        Owner::Nobody | Owner::Policy(_) => Hold::new(HoldReason::NoPolicy, "no policy selects the node"),
    }
}

/// When the node may try `version` again after its failures.
pub(super) fn retry_at(node: &NodeView<'_>, rules: &Rules<'_>, version: &Version) -> Option<Timestamp> {
    let acknowledged = node.node.acknowledges(version);
    let after_failure =
        node.observed.and_then(|observed| backoff::next_try(observed, version, acknowledged, rules.now));
    after_failure.into_iter().chain(given_up_until(node, rules.now)).min()
}

/// When an approval that is given now expires: it ends with the window it was given in.
pub(super) fn approval_expiry(
    rules: &Rules<'_>,
    policy: &PolicyFacts,
    node: &NodeView<'_>,
    version: &Version,
) -> Option<Timestamp> {
    let latest = rules.now.checked_add(APPROVAL_HOLDS_FOR).ok();
    let window = window_of(rules, policy, node, version);
    latest.into_iter().chain(window.and_then(|window| window.closes_at)).min()
}

/// Why the policy would let none of its nodes start or be disrupted for `version` even if it were not paused.
fn forbids(rules: &Rules<'_>, policy: &PolicyFacts, version: &Version) -> Option<Hold> {
    match &policy.accepted {
        Err(why) => Some(Hold::new(HoldReason::PolicyNotAccepted, format!("policy {}: {why}", policy.name))),
        Ok(_) => rules.halts.forbid(&policy.name, version),
    }
}

fn window_hold(rules: &Rules<'_>, policy: &PolicyFacts, node: &NodeView<'_>, version: &Version) -> Option<Hold> {
    let window = window_of(rules, policy, node, version).filter(|window| !window.open)?;
    Some(window::closed(&policy.name, window))
}

/// The policy's schedule, unless somebody lets it not apply to the node for this version.
fn window_of<'r>(
    rules: &'r Rules<'_>,
    policy: &PolicyFacts,
    node: &NodeView<'_>,
    version: &Version,
) -> Option<&'r Window> {
    let ignored = node.node.ignore_window.as_ref() == Some(version);
    rules.windows.get(policy.name.as_str()).filter(|_| !ignored)
}
