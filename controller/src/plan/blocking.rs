//! Blocking reasons: what stands in the way of one node by itself, whatever its policy says.

use api::HoldReason;
use api::shadow::{FailureKind, Observed};
use jiff::Timestamp;
use semver::Version;

use super::deadline::given_up_until;
use super::hold::Hold;
use super::node_view::NodeView;
use super::{agent, backoff};
use crate::snapshot::{NodeFacts, Snapshot};

/// Whether anything about the node could be a [`blocking_reason`] for some version. Of most nodes of a cluster nothing could.
pub(super) fn may_be_blocked(node: &NodeFacts, observed: Option<&Observed>) -> bool {
    let leave_it = node.hold.is_some() || node.leaving.is_some() || !node.ready || node.cordoned;
    let has_met_failures = |observed: &Observed| {
        observed.failure.is_some()
            || observed.failed.is_some()
            || observed.crash_count > 0
            || observed.failed_at.is_some()
    };
    leave_it
        || agent::is_silent(node, observed)
        || observed.is_some_and(|observed| agent::is_original(observed) || has_met_failures(observed))
}

/// Why the node must not be started, or must not go on towards its disruption; the first reason that applies.
pub(super) fn blocking_reason(view: &NodeView<'_>, version: &Version, now: Timestamp) -> Option<Hold> {
    if !view.may_be_blocked {
        return None;
    }
    let node = view.node;
    let observed = view.observed;
    if let Some(reason) = &node.hold {
        return Some(Hold::new(HoldReason::HeldByAnnotation, format!("held by annotation: {reason}")));
    }
    if let Some(why) = &node.leaving {
        return Some(Hold::new(HoldReason::BeingRemoved, format!("the node is about to go away: {why}")));
    }
    if !node.ready {
        return Some(Hold::new(HoldReason::NotReady, "the node is not Ready"));
    }
    if node.cordoned && !node.has_record() && node.update_now.as_ref() != Some(version) {
        return Some(Hold::new(HoldReason::Cordoned, "somebody else has cordoned the node"));
    }
    if agent::is_silent(node, observed) {
        return Some(Hold::new(HoldReason::AgentSilent, "the agent's pod on the node is not Ready"));
    }
    if let Some(until) = given_up_until(view, now) {
        let message = format!("the original agent has not staged version {version} in time; next try after {until}");
        return Some(Hold::new(HoldReason::AgentSilent, message));
    }
    observed.and_then(|observed| earlier_failure(view, observed, version, now))
}

/// Why the node gets no further place although nothing is wrong with it: what was decided for it could not be stored, time and again.
pub(super) fn write_failure_hold(snapshot: &Snapshot, view: &NodeView<'_>) -> Option<Hold> {
    let stuck = view.readable.is_some_and(|shadow| snapshot.stuck.contains(&shadow.name));
    stuck.then(|| Hold::new(HoldReason::BackOff, "the last writes to its shadow have failed"))
}

fn earlier_failure(view: &NodeView<'_>, observed: &Observed, version: &Version, now: Timestamp) -> Option<Hold> {
    let acknowledged = view.node.acknowledges(version);
    let fell_back = observed.failure.as_ref().is_some_and(|f| f.kind == FailureKind::Fallback && f.version == *version);
    if fell_back && !acknowledged {
        return Some(Hold::new(HoldReason::VersionFailed, format!("the node fell back from version {version} before")));
    }
    if !acknowledged && observed.failed.as_ref().is_some_and(|failed| failed.version == *version) {
        return Some(Hold::new(HoldReason::VersionFailed, format!("version {version} has failed on the node before")));
    }
    let next = backoff::next_try(observed, version, acknowledged, now);
    next.map(|next| Hold::new(HoldReason::BackOff, format!("next try after {next}")))
}
