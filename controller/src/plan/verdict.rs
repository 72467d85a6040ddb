//! Failed nodes: who is one, why, and how that ends (design section 4, step 5).

use std::cmp::Ordering;

use api::{
    HoldReason, State,
    shadow::{Failed, FailureKind, Observed, Verdict},
};
use semver::Version;

use super::{
    Hold, advance::back_to_idle, draft::Draft, gate, has_original_agent, phase::Phase, releases::is_locked_to,
    situation::Situation,
};
use crate::{
    action::Verb,
    snapshot::{ShadowFacts, Snapshot},
};

/// The verdict that stands on the node now: the one that is stored, or the one that is due. It is over once it is acknowledged, or
/// the node was given back in that version or a newer one.
pub(super) fn standing(situation: &Situation<'_>, snapshot: &Snapshot) -> Option<Failed> {
    latest(situation, snapshot)
        .filter(|failed| !situation.node.acknowledges(&failed.version) && !is_recovered(situation, failed))
}

/// A verdict about another version takes the place of the one that is stored.
fn latest(situation: &Situation<'_>, snapshot: &Snapshot) -> Option<Failed> {
    let stored = situation.shadow.and_then(ShadowFacts::failed);
    match due(situation, snapshot) {
        Some(due) if stored.is_none_or(|stored| stored.version != due.version) => Some(due),
        _ => stored.cloned(),
    }
}

/// A node that runs a newer version has come past the failure, unless it is asked back: an administrator's version-lock names the
/// older one that it has failed on.
fn is_recovered(situation: &Situation<'_>, failed: &Failed) -> bool {
    let given_back = matches!(situation.phase, Phase::GivingBack | Phase::GivenBack | Phase::Resting);
    let past = |observed: &Observed| match observed.current_version.cmp(&failed.version) {
        Ordering::Less => false,
        Ordering::Equal => true,
        Ordering::Greater => !is_locked_to(observed.version_lock.as_deref(), &failed.version),
    };
    given_back && situation.observed().is_some_and(past)
}

/// What the facts say, whatever was said before. The time is that of the fact, so that the same facts give the same verdict.
fn due(situation: &Situation<'_>, snapshot: &Snapshot) -> Option<Failed> {
    let (observed, desired) = (situation.observed()?, &situation.readable()?.desired);
    let fallback = observed.failure.as_ref().filter(|failure| failure.kind == FailureKind::Fallback);
    // What is tried now has not failed yet, whatever failed before it.
    let tries = desired.version.is_some() && situation.phase != Phase::Failed;
    let fallback = fallback.filter(|_| !tries);
    // What it fell back from is the newer one, unless it was to go back to an older one.
    let is_back = |version: &Version| {
        let to_older = situation.phase == Phase::Failed && desired.version.as_ref() == Some(version);
        observed.current_version < *version
            || (observed.current_version > *version
                && (to_older || is_locked_to(observed.version_lock.as_deref(), version)))
    };
    if let Some(fallback) = fallback.filter(|fallback| is_back(&fallback.version)) {
        return Some(Failed { kind: Verdict::Fallback, version: fallback.version.clone(), time: fallback.time });
    }
    let version = desired.version.clone().filter(|_| desired.state == State::RebootedIntoUpdate)?;
    if situation.phase == Phase::Failed && has_original_agent(observed) {
        return Some(Failed { kind: Verdict::Unknown, version, time: observed.failed_at.or(desired.since)? });
    }
    let late = gate::deadline(situation).filter(|deadline| *deadline <= snapshot.now)?;
    let kind = if situation.booted?.up { Verdict::Health } else { Verdict::NoBoot };
    situation.gate(snapshot).is_err().then_some(Failed { kind, version, time: late })
}

/// Gives back the nodes whose failure somebody has acknowledged while they were kept out for it.
pub(super) fn give_back_what_is_acknowledged(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Disrupting, Phase::Booted]) {
        let situation = &draft.situations[at];
        let Some(shadow) = situation.readable() else { continue };
        let kept_out = |failed: &Failed| {
            let kind = matches!(failed.kind, Verdict::NoBoot | Verdict::Health);
            kind && shadow.desired.version.as_ref() == Some(&failed.version)
        };
        let failed = latest(situation, draft.snapshot).filter(kept_out);
        if failed.is_some_and(|failed| situation.node.acknowledges(&failed.version)) {
            draft.act(at, Verb::Reset, back_to_idle(shadow, draft.now));
        }
    }
}

/// Says of the failed nodes that are kept out, or cannot be given back yet, why.
pub(super) fn hold_the_failed(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Disrupting, Phase::Booted, Phase::Failed, Phase::Returning]) {
        let situation = &draft.situations[at];
        let answers = matches!(situation.phase, Phase::Failed | Phase::Returning);
        let about_it = |failed: &&Failed| answers || situation.desired_version() == Some(&failed.version);
        if let Some(failed) = situation.failed.as_deref().filter(about_it) {
            let message = format!("update to {} failed: {}", failed.version, words(failed.kind));
            draft.hold(at, Hold::new(HoldReason::Failed, message));
        } else if let Some(deadline) = gate::deadline(situation).filter(|deadline| *deadline > draft.now) {
            draft.wake_at(deadline);
        }
    }
}

const fn words(kind: Verdict) -> &'static str {
    match kind {
        Verdict::NoBoot => "the node was not heard from again after its reboot (NoBoot)",
        Verdict::Fallback => "the node came back in the version it had before (Fallback)",
        Verdict::Health => "the node has not passed its health gate in time (Health)",
        Verdict::Unknown => "the agent reported an error after the approval (Unknown)",
    }
}
