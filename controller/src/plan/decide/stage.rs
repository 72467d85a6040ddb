//! Who may begin, and why the others do not.

use api::shadow::Desired;
use api::{HoldReason, Shadow};
use semver::Version;

use super::restore;
use crate::action::Verb;
use crate::plan::blocking::{blocking_reason, write_failure_hold};
use crate::plan::deadline::given_up_until;
use crate::plan::decision::{Decision, Limited};
use crate::plan::hold::Hold;
use crate::plan::node_view::NodeView;
use crate::plan::permission::{forbids_start, no_owner_hold, retry_at};
use crate::plan::releases::Choice;
use crate::plan::rules::Rules;

/// A node at rest: it begins if there is a version for it. What is left of an update that is over is cleared, so that a shadow at rest
/// names no policy and no version.
pub(super) fn at_rest<'a>(node: &NodeView<'a>, shadow: &Shadow, rules: &Rules<'a>) -> Decision<'a> {
    let is_clear = node.has_default_spec || given_up_until(node, rules.now).is_some();
    let rests = || if is_clear { Decision::wait() } else { Decision::write(Verb::Clear, shadow, Desired::default()) };
    match rules.choice(node) {
        Choice::Current => locked(node, rules).with(rests()),
        Choice::Held(hold) => Decision::hold(hold.clone()).with(rests()),
        Choice::Take(version) => match unfit(node, rules, version) {
            Some(unfit) => unfit.with(rests()),
            None => Decision::candidate(Limited::Start, version, rests()),
        },
    }
}

/// A node that does not pass its health gate; `kept_out` is what follows from a verdict on it. One that has failed may be started on a
/// newer version.
pub(super) fn unhealthy<'a>(node: &NodeView<'a>, rules: &Rules<'a>, kept_out: Decision<'a>) -> Decision<'a> {
    let waits = restore::unhealthy(node, rules);
    let Some(version) = rules.choice(node).taken().filter(|version| may_try(node, version)) else {
        return waits.with(kept_out);
    };
    match unfit(node, rules, version) {
        Some(unfit) => waits.with(unfit).with(kept_out),
        None => waits.with(Decision::candidate(Limited::Start, version, kept_out)),
    }
}

/// Whether a node that has failed its health gate can be started on `version`: its verdict is stored, so that it is known
/// what was tried, and `version` is newer.
fn may_try(node: &NodeView<'_>, version: &Version) -> bool {
    let failed = node.observed.and_then(|observed| observed.failed.as_ref());
    !node.has_original_agent && node.has_failed && failed.is_some_and(|failed| *version > failed.version)
}

/// Names the version-lock of a node that an administrator keeps where it is.
fn locked<'a>(node: &NodeView<'_>, rules: &Rules<'_>) -> Decision<'a> {
    let held = |lock| {
        let message = format!("the host's version-lock is {lock}, and not the operator's");
        Decision::hold(Hold::new(HoldReason::VersionLocked, message))
    };
    rules.offer(node).and_then(|offer| offer.lock).map_or_else(Decision::wait, held)
}

/// Why the node would not start even if its policy were not paused and had room.
fn unfit<'a>(node: &NodeView<'_>, rules: &Rules<'_>, version: &Version) -> Option<Decision<'a>> {
    let forbidden = match node.owner.policy() {
        Some(policy) => forbids_start(rules, policy, node, version),
        None => Some(no_owner_hold(&node.owner)),
    };
    let own = || blocking_reason(node, version, rules.now).or_else(|| write_failure_hold(rules.snapshot, node));
    let hold = match forbidden {
        // On the node that failed itself, that failure is shown rather than the halt that it caused.
        Some(halted) if halted.reason == HoldReason::Halted => {
            own().filter(|own| own.reason == HoldReason::VersionFailed).unwrap_or(halted)
        }
        Some(forbidden) => forbidden,
        None => own()?,
    };
    Some(Decision::hold(hold).until(retry_at(node, rules, version)))
}
