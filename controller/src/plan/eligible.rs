//! Whether a node may be updated at all. How many at once comes after.

use api::{
    HoldReason,
    shadow::{FailureKind, Observed},
};
use jiff::Timestamp;
use semver::Version;

use super::{
    Hold, backoff, deadline::given_up_until, draft::Draft, has_original_agent, in_flight::agent_is_silent,
    situation::Situation, window,
};
use crate::snapshot::{NodeFacts, PolicyFacts, Snapshot};

/// Whether anything about the node could be a [`hindrance`] for some version. Of most nodes of a cluster nothing could.
pub(super) fn may_be_hindered(node: &NodeFacts, observed: Option<&Observed>) -> bool {
    let leave_it = node.hold.is_some() || node.leaving.is_some() || !node.ready || node.cordoned;
    let has_met_failures = |observed: &Observed| {
        observed.failure.is_some()
            || observed.failed.is_some()
            || observed.crash_count > 0
            || observed.failed_at.is_some()
    };
    leave_it
        || agent_is_silent(node, observed)
        || observed.is_some_and(|observed| has_original_agent(observed) || has_met_failures(observed))
}

/// Why the node must not be started, or must not go on towards its disruption; the first reason that applies.
pub(super) fn hindrance(situation: &Situation<'_>, version: &Version, now: Timestamp) -> Option<Hold> {
    if !situation.digest.may_be_hindered {
        return None;
    }
    let node = situation.node;
    let observed = situation.observed();
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
    if agent_is_silent(node, observed) {
        return Some(Hold::new(HoldReason::AgentSilent, "the agent's pod on the node is not Ready"));
    }
    if let Some(until) = given_up_until(situation, now) {
        let message = format!("the original agent has not staged version {version} in time; next try after {until}");
        return Some(Hold::new(HoldReason::AgentSilent, message));
    }
    observed.and_then(|observed| earlier_failure(situation, observed, version, now))
}

/// Why the node gets no further place although nothing is wrong with it: what was decided for it could not be stored, time and again.
pub(super) fn is_stuck(snapshot: &Snapshot, situation: &Situation<'_>) -> Option<Hold> {
    let stuck = situation.readable().is_some_and(|shadow| snapshot.stuck.contains(&shadow.name));
    stuck.then(|| Hold::new(HoldReason::BackOff, "the last writes to its shadow have failed"))
}

fn earlier_failure(situation: &Situation<'_>, observed: &Observed, version: &Version, now: Timestamp) -> Option<Hold> {
    let acknowledged = situation.node.acknowledges(version);
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

/// Why the policy would let the node not start `version` now even if it were not paused, whatever else is in flight. An image may be
/// staged before a window opens; an original agent activates while it stages.
pub(super) fn forbids_start(
    draft: &Draft<'_>,
    policy: &PolicyFacts,
    situation: &Situation<'_>,
    version: &Version,
) -> Option<Hold> {
    let closed = || {
        let closed = is_closed(draft, policy, situation, version).filter(|_| situation.has_original_agent())?;
        let reason = match closed.reason {
            HoldReason::OutsideWindow => HoldReason::OriginalOutsideWindow,
            never => never,
        };
        Some(Hold::new(reason, format!("an original agent is not started: {}", closed.message)))
    };
    forbids(draft, policy, version).or_else(closed)
}

/// Why the policy lets the node not be disrupted for `version` now, whatever else is disrupted.
pub(super) fn forbids_approval(
    draft: &Draft<'_>,
    policy: &PolicyFacts,
    situation: &Situation<'_>,
    version: &Version,
) -> Option<Hold> {
    let paused = is_paused(policy).or_else(|| forbids(draft, policy, version));
    paused.or_else(|| is_closed(draft, policy, situation, version))
}

/// That the policy is paused. A start asks last: what is next is what nothing else keeps.
pub(super) fn is_paused(policy: &PolicyFacts) -> Option<Hold> {
    let paused = policy.accepted.as_ref().is_ok_and(|accepted| accepted.paused);
    paused.then(|| Hold::new(HoldReason::Paused, format!("policy {} is paused", policy.name)))
}

/// Why the policy would let none of its nodes start or be disrupted for `version` even if it were not paused.
fn forbids(draft: &Draft<'_>, policy: &PolicyFacts, version: &Version) -> Option<Hold> {
    match &policy.accepted {
        Err(why) => Some(Hold::new(HoldReason::PolicyNotAccepted, format!("policy {}: {why}", policy.name))),
        Ok(_) => draft.halts.forbid(&policy.name, version),
    }
}

fn is_closed(draft: &Draft<'_>, policy: &PolicyFacts, situation: &Situation<'_>, version: &Version) -> Option<Hold> {
    let window = draft.windows.get(policy.name.as_str()).filter(|window| !window.open)?;
    (!window::is_ignored(situation, version)).then(|| window::closed(&policy.name, window))
}
