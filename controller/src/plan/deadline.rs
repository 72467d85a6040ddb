//! How long a phase may take before its agent counts as not heard from.
//!
//! Our agents are known by their pods' readiness; a deadline tells of one that is up and stuck. For the original's agents, which
//! have no probe, it is the only word.

use api::{State, policy::DrainRule};
use jiff::{SignedDuration, Timestamp};

use super::{phase::Phase, situation::Situation};
use crate::snapshot::{NodeFacts, ShadowFacts};

/// To download and write an image.
const STAGING: SignedDuration = SignedDuration::from_mins(60);
/// To begin with an approval.
const GOING: SignedDuration = SignedDuration::from_mins(30);
/// To activate and reboot once the drain's own time is over.
const ACTIVATING_AND_REBOOTING: SignedDuration = SignedDuration::from_mins(45);
/// To give a node back.
const GIVING_BACK: SignedDuration = SignedDuration::from_mins(30);
/// How long a node whose original agent let an update go by is left alone.
const GIVEN_UP_FOR: SignedDuration = SignedDuration::from_hours(6);

/// When what the node's agent is asked for should have been reported; `None` in phases that wait for nobody, and where nothing
/// says since when.
pub(super) fn deadline(situation: &Situation<'_>) -> Option<Timestamp> {
    let desired = &situation.readable()?.desired;
    let (since, within) = match situation.phase {
        Phase::Staging => (desired.since?, STAGING),
        Phase::Approved => (desired.since?, GOING),
        Phase::GivingBack | Phase::Returning => (desired.since?, GIVING_BACK),
        Phase::Disrupting => {
            let record = situation.node.record.as_ref().ok()?.as_ref()?;
            let drain = desired.drain.unwrap_or(DrainRule::default().stored()).0;
            let seconds = i64::from(desired.exclusion_wait_seconds).saturating_add(i64::from(drain));
            let within = SignedDuration::from_secs(seconds) + ACTIVATING_AND_REBOOTING;
            (record.drain_began.unwrap_or(record.began), within)
        }
        _ => return None,
    };
    since.checked_add(within).ok()
}

/// Whether the node's original agent was asked to go back to Idle so long ago that nobody is left to do it. With nothing on the Node
/// to undo it no longer counts as in flight then.
pub(super) fn original_is_gone(node: &NodeFacts, shadow: &ShadowFacts, now: Timestamp) -> bool {
    let Some(shadow) = shadow.readable().filter(|shadow| shadow.desired.state == State::Idle) else { return false };
    let original = shadow.observed.as_ref().is_some_and(|observed| observed.agent_version.is_none());
    let deadline = shadow.desired.since.and_then(|since| since.checked_add(GIVING_BACK).ok());
    original && !node.has_record() && deadline.is_some_and(|deadline| deadline <= now)
}

/// Until when the node is left alone because its original agent let an update go by. Its order, back to Idle, keeps the version
/// as the memory of that.
pub(super) fn given_up_until(situation: &Situation<'_>, now: Timestamp) -> Option<Timestamp> {
    let desired = &situation.readable().filter(|_| situation.has_original_agent())?.desired;
    let target = situation.observed().map(|observed| &observed.target_version);
    let remembers = desired.state == State::Idle && desired.version.is_some() && desired.version.as_ref() == target;
    let until = desired.since.filter(|since| remembers && *since <= now)?.checked_add(GIVEN_UP_FOR).ok();
    until.filter(|until| *until > now)
}
