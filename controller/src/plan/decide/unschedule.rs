//! Nodes that have begun and are not disrupted yet go back to Idle when they may no longer be updated, so that they hold no
//! place that another node could use.

use api::Shadow;
use api::shadow::Desired;

use super::withdrawn::reinstated;
use crate::action::Verb;
use crate::plan::blocking::blocking_reason;
use crate::plan::deadline::deadline;
use crate::plan::decision::Decision;
use crate::plan::desired;
use crate::plan::node_view::NodeView;
use crate::plan::phase::Phase;
use crate::plan::releases::may_take;
use crate::plan::rules::Rules;

/// A node that became ineligible, or changed its policy or its version. An original agent activates while it stages: its node keeps its
/// place.
pub(super) fn ineligible<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Option<Decision<'a>> {
    (!node.has_original_agent && is_ineligible(node, shadow, rules)).then(|| unscheduled(node, shadow, rules))
}

/// Idle gives the node's place back. One that was out for an earlier failure stays out: it is asked for that update again.
pub(in crate::plan) fn unscheduled<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Decision<'a> {
    let idle = || Decision::write(Verb::Unschedule, shadow, desired::idle(shadow, rules.now));
    reinstated(node, shadow).unwrap_or_else(idle)
}

/// An original agent that has not staged in time has most likely not begun: its place is given to another node. The spec keeps
/// the version, so that it is known what was given up.
pub(super) fn late_original<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Option<Decision<'a>> {
    let late = node.has_original_agent && deadline(node).is_some_and(|deadline| deadline <= rules.now);
    let desired = || Desired { version: shadow.desired.version.clone(), ..desired::idle(shadow, rules.now) };
    late.then(|| Decision::write(Verb::Unschedule, shadow, desired()))
}

/// Before the approval the node must still choose this version. After it the version must only still be allowed: a
/// newer one does not matter.
fn is_ineligible(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> bool {
    let Some(observed) = node.observed else { return false };
    let Some(version) = &shadow.desired.version else { return true };
    let policy = node.owner.policy();
    // Of policies that are tied none may update it.
    let lost_its_policy = policy.is_none_or(|policy| shadow.desired.policy.as_ref() != Some(&policy.name));
    let frozen = node.phase == Phase::Approved && *version != observed.current_version;
    let may_take = |offer| may_take(&rules.releases, policy, offer, version, rules.now);
    let taken = rules.choice(node).taken() == Some(version) || (frozen && rules.offer(node).is_some_and(may_take));
    let halted = policy.and_then(|policy| rules.halts.forbid(&policy.name, version));
    lost_its_policy || !taken || halted.is_some() || blocking_reason(node, version, rules.now).is_some()
}
