//! The check's eyes on schedules.

use api::Policy;
use api::shadow::Observed;
use jiff::Timestamp;

use super::Broken;
use crate::action::{Action, Verb};
use crate::snapshot::NodeFacts;

/// An image may be staged outside a window, except by an original agent; nothing else may begin there, or hold for longer.
pub(super) fn in_window(
    now: Timestamp,
    policy: &Policy,
    node: &NodeFacts,
    observed: &Observed,
    action: &Action,
) -> Result<(), Broken> {
    let stages_only = action.verb == Verb::Start && observed.agent_version.is_some();
    if stages_only || node.ignore_window == action.desired.version {
        return Ok(());
    }
    let outlasts = || {
        let closes = policy.schedule.closes_at(now);
        closes.is_some_and(|closes| action.desired.disrupt_not_after.is_some_and(|expiry| expiry > closes))
    };
    if !policy.schedule.is_open_at(now) || outlasts() { Err(Broken::Window) } else { Ok(()) }
}
