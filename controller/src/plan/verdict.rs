//! Failed nodes: who is one, why, and how that ends (design section 4, step 5).

use std::cmp::Ordering;

use api::shadow::{Failed, FailureKind, Observed, Verdict};
use api::{HoldReason, State};
use jiff::Timestamp;
use semver::Version;

use super::agent;
use super::decision::Decision;
use super::hold::Hold;
use super::node_view::NodeView;
use super::offers::is_locked_to;
use super::phase::Phase;
use crate::snapshot::{ShadowFacts, Snapshot};

/// The verdict that stands on the node now: the one that is stored, or the one that is due. It is over once it is acknowledged, or
/// the node was restored in that version or a newer one.
pub(super) fn current(node: &NodeView<'_>, snapshot: &Snapshot) -> Option<Failed> {
    latest(node, snapshot).filter(|failed| !node.node.acknowledges(&failed.version) && !is_recovered(node, failed))
}

/// A verdict about another version takes the place of the one that is stored.
pub(super) fn latest(node: &NodeView<'_>, snapshot: &Snapshot) -> Option<Failed> {
    let stored = node.shadow.and_then(ShadowFacts::failed);
    match due(node, snapshot) {
        Some(due) if stored.is_none_or(|stored| stored.version != due.version) => Some(due),
        _ => stored.cloned(),
    }
}

/// A node that runs a newer version has recovered, unless an administrator's version-lock names the older version that
/// failed.
fn is_recovered(node: &NodeView<'_>, failed: &Failed) -> bool {
    let restored = matches!(node.phase, Phase::Restoring | Phase::Restored | Phase::Resting);
    let past = |observed: &Observed| match observed.current_version.cmp(&failed.version) {
        Ordering::Less => false,
        Ordering::Equal => true,
        Ordering::Greater => !is_locked_to(observed.version_lock.as_deref(), &failed.version),
    };
    restored && node.observed.is_some_and(past)
}

/// What the facts say, whatever was said before. The time is that of the fact, so that the same facts give the same verdict.
fn due(node: &NodeView<'_>, snapshot: &Snapshot) -> Option<Failed> {
    let (observed, desired) = (node.observed?, &node.readable?.desired);
    let fallback = observed.failure.as_ref().filter(|failure| failure.kind == FailureKind::Fallback);
    // What is tried now has not failed yet, whatever failed before it.
    let tries = desired.version.is_some() && node.phase != Phase::Failed;
    let fallback = fallback.filter(|_| !tries);
    // What it fell back from is the newer one, unless it was to go back to an older one.
    let is_back = |version: &Version| {
        let to_older = node.phase == Phase::Failed && desired.version.as_ref() == Some(version);
        observed.current_version < *version
            || (observed.current_version > *version
                && (to_older || is_locked_to(observed.version_lock.as_deref(), version)))
    };
    if let Some(fallback) = fallback.filter(|fallback| is_back(&fallback.version)) {
        return Some(Failed { kind: Verdict::Fallback, version: fallback.version.clone(), time: fallback.time });
    }
    let version = desired.version.clone().filter(|_| desired.state == State::RebootedIntoUpdate)?;
    if node.phase == Phase::Failed && agent::is_original(observed) {
        return Some(Failed { kind: Verdict::Unknown, version, time: observed.failed_at.or(desired.since)? });
    }
    let late = node.gate_deadline().filter(|deadline| *deadline <= snapshot.now)?;
    let kind = if node.booted?.up { Verdict::Health } else { Verdict::NoBoot };
    node.gate(snapshot).is_err().then_some(Failed { kind, version, time: late })
}

/// Why a node that has failed is kept out, or is not restored yet; or when it will have failed.
pub(super) fn kept_out<'a>(node: &NodeView<'_>, now: Timestamp) -> Decision<'a> {
    let answers = matches!(node.phase, Phase::Failed | Phase::Returning);
    let about_it = |failed: &&Failed| answers || node.desired_version() == Some(&failed.version);
    if let Some(failed) = node.failed.as_deref().filter(about_it) {
        let message = format!("update to {} failed: {}", failed.version, words(failed.kind));
        return Decision::hold(Hold::new(HoldReason::Failed, message));
    }
    Decision::wait().until(node.gate_deadline().filter(|deadline| *deadline > now))
}

const fn words(kind: Verdict) -> &'static str {
    match kind {
        Verdict::NoBoot => "the node was not heard from again after its reboot (NoBoot)",
        Verdict::Fallback => "the node came back in the version it had before (Fallback)",
        Verdict::Health => "the node has not passed its health gate in time (Health)",
        Verdict::Unknown => "the agent reported an error after the approval (Unknown)",
    }
}
