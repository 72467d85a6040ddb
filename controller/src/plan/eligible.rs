//! Whether a node may be updated at all, and to what. Policies, windows and budgets come after.

use api::{
    HoldReason,
    shadow::{FailureKind, Report},
};
use jiff::Timestamp;
use semver::Version;

use super::{Hold, backoff, deadline::given_up_until, in_flight::agent_is_silent, situation::Situation};
use crate::snapshot::PolicyFacts;

/// The version a node is to be updated to; `None` when it runs what it should.
///
/// What the host itself has chosen: the newest it is offered, or the one that an administrator's version-lock names.
pub(super) fn wanted(report: &Report) -> Option<&Version> {
    (report.target_version != report.current_version).then_some(&report.target_version)
}

/// Why the node must not be started, or must not go on towards its disruption; the first reason that applies.
pub(super) fn hindrance(situation: &Situation<'_>, version: &Version, now: Timestamp) -> Option<Hold> {
    let node = situation.node;
    let report = situation.report();
    if let Some(reason) = &node.hold {
        return Some(Hold::new(HoldReason::HeldByAnnotation, format!("held by annotation: {reason}")));
    }
    if let Some(why) = &node.leaving {
        return Some(Hold::new(HoldReason::BeingRemoved, format!("the node is about to go away: {why}")));
    }
    if !node.ready {
        return Some(Hold::new(HoldReason::NotReady, "the node is not Ready"));
    }
    if node.cordoned && !node.is_marked() && node.update_now.as_ref() != Some(version) {
        return Some(Hold::new(HoldReason::Cordoned, "somebody else has cordoned the node"));
    }
    if agent_is_silent(node, report) {
        return Some(Hold::new(HoldReason::AgentSilent, "the agent's pod on the node is not Ready"));
    }
    if let Some(until) = given_up_until(situation, now) {
        let message = format!("the original agent has not staged version {version} in time; next try after {until}");
        return Some(Hold::new(HoldReason::AgentSilent, message));
    }
    report.and_then(|report| earlier_failure(situation, report, version, now))
}

fn earlier_failure(situation: &Situation<'_>, report: &Report, version: &Version, now: Timestamp) -> Option<Hold> {
    if situation.node.failure_acknowledged.as_ref() == Some(version) {
        return None;
    }
    let fell_back = report.failure.as_ref().is_some_and(|f| f.kind == FailureKind::Fallback && f.version == *version);
    if fell_back {
        return Some(Hold::new(HoldReason::VersionFailed, format!("the node fell back from version {version} before")));
    }
    backoff::next_try(report, now).map(|next| Hold::new(HoldReason::BackOff, format!("next try after {next}")))
}

/// Why a policy lets none of its nodes start or be disrupted.
pub(super) fn forbids(policy: &PolicyFacts) -> Option<Hold> {
    match &policy.accepted {
        Err(why) => Some(Hold::new(HoldReason::PolicyNotAccepted, format!("policy {}: {why}", policy.name))),
        Ok(accepted) if accepted.paused => {
            Some(Hold::new(HoldReason::Paused, format!("policy {} is paused", policy.name)))
        }
        Ok(_) => None,
    }
}
