//! How long a phase may take before its agent counts as not heard from.
//!
//! Our agents are known by their pods' readiness; a deadline tells of one that is up and stuck. For the original's agents, which
//! have no probe, it is the only word.

use api::policy::DrainRule;
use api::{Shadow, State};
use jiff::{SignedDuration, Timestamp};

use super::agent;
use super::node_view::NodeView;
use super::phase::Phase;
use crate::snapshot::{NodeFacts, ShadowFacts};

/// To download and write an image.
const STAGING: SignedDuration = SignedDuration::from_mins(60);
/// To begin with an approval.
const BEGINNING: SignedDuration = SignedDuration::from_mins(30);
/// To activate and reboot once the drain's own time is over.
const ACTIVATING_AND_REBOOTING: SignedDuration = SignedDuration::from_mins(45);
/// To restore a node.
const RESTORING: SignedDuration = SignedDuration::from_mins(30);
/// To be Ready again once a node is restored.
const READY_AGAIN: SignedDuration = RESTORING;
/// How long a node whose original agent let an update go by is left alone.
const GIVEN_UP_FOR: SignedDuration = SignedDuration::from_hours(6);

/// When what the node's agent is asked for should have been reported; `None` in phases that wait for nobody, and where nothing
/// says since when.
pub(super) fn deadline(node: &NodeView<'_>) -> Option<Timestamp> {
    let desired = &node.readable?.desired;
    let (since, within) = match node.phase {
        Phase::Staging => (desired.since?, STAGING),
        Phase::Approved => (desired.since?, BEGINNING),
        Phase::Restoring | Phase::Returning => (desired.since?, RESTORING),
        Phase::Disrupting => {
            let record = node.node.record.as_ref().ok()?.as_ref()?;
            let drain = desired.drain.unwrap_or(DrainRule::default().stored()).0;
            let seconds = i64::from(desired.exclusion_wait_seconds).saturating_add(i64::from(drain));
            let within = SignedDuration::from_secs(seconds) + ACTIVATING_AND_REBOOTING;
            (record.drain_began.unwrap_or(record.began), within)
        }
        _ => return None,
    };
    since.checked_add(within).ok()
}

/// When the update of a restored node is called finished although it is not Ready again.
pub(super) fn ready_deadline(shadow: &Shadow) -> Option<Timestamp> {
    shadow.desired.since?.checked_add(READY_AGAIN).ok()
}

/// Whether the node's original agent was asked to go back to Idle so long ago that nobody is left to do it. With nothing on the Node
/// to undo it no longer counts as in flight then.
pub(super) fn original_is_gone(node: &NodeFacts, shadow: &ShadowFacts, now: Timestamp) -> bool {
    let Some(shadow) = shadow.readable().filter(|shadow| shadow.desired.state == State::Idle) else { return false };
    let original = shadow.observed.as_ref().is_some_and(agent::is_original);
    let deadline = shadow.desired.since.and_then(|since| since.checked_add(RESTORING).ok());
    original && !node.has_record() && deadline.is_some_and(|deadline| deadline <= now)
}

/// Until when the node is left alone because its original agent let an update go by. Its spec, back to Idle, keeps the version
/// as the memory of that.
pub(super) fn given_up_until(node: &NodeView<'_>, now: Timestamp) -> Option<Timestamp> {
    let desired = &node.readable.filter(|_| node.has_original_agent)?.desired;
    let target = node.observed.map(|observed| &observed.target_version);
    let remembers = desired.state == State::Idle && desired.version.is_some() && desired.version.as_ref() == target;
    let until = desired.since.filter(|since| remembers && *since <= now)?.checked_add(GIVEN_UP_FOR).ok();
    until.filter(|until| *until > now)
}
