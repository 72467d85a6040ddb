//! Whether a node that was to reboot has come up, and since when: the clock of the health gate and of its deadline.
//!
//! The clock is the transition time of the condition `Booted` on the shadow, so that it survives the controller. What is seen
//! for the first time counts from now.

use api::State;
use api::shadow::{Activity, Observed, Shadow};
use jiff::Timestamp;
use semver::Version;

use super::agent;
use crate::snapshot::{NodeFacts, ShadowFacts};

/// The condition's type.
pub const CONDITION: &str = "Booted";

/// Whether a node that was to reboot has come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booted {
    /// Its kubelet has reported another boot id than it rebooted from.
    pub up: bool,
    /// The condition's reason.
    pub reason: &'static str,
    /// Since when that is so.
    pub since: Timestamp,
}

/// `None` where no reboot is under way.
pub(super) fn booted(node: &NodeFacts, shadow: Option<&ShadowFacts>, now: Timestamp) -> Option<Booted> {
    let shadow = shadow.and_then(ShadowFacts::readable)?;
    let observed = shadow.observed.as_ref().filter(|_| shadow.desired.state == State::RebootedIntoUpdate)?;
    let (up, reason) = new_boot(node, observed, shadow.desired.version.as_ref())?;
    Some(Booted { up, reason, since: since(shadow, up, now) })
}

fn new_boot(node: &NodeFacts, observed: &Observed, version: Option<&Version>) -> Option<(bool, &'static str)> {
    let activating = observed.activity == Some(Activity::Activating);
    // That of an earlier update says nothing of this one.
    match observed.rebooting.as_ref().filter(|intent| Some(&intent.version) == version) {
        Some(intent) if !node.boot_id.is_empty() && intent.boot_id != node.boot_id => Some((true, "NewBoot")),
        Some(_) => Some((false, "AwaitBoot")),
        // An agent of the original operator stores no intent.
        None if observed.state == State::RebootedIntoUpdate => Some((true, "NewBoot")),
        None if activating && agent::is_silent(node, Some(observed)) => Some((false, "AgentSilent")),
        None => None,
    }
}

/// A time that lies in the future is that of a clock which was put back: it begins anew.
fn since(shadow: &Shadow, up: bool, now: Timestamp) -> Timestamp {
    let status = if up { "True" } else { "False" };
    let known = shadow.conditions.iter().find(|known| known.type_ == CONDITION && known.status == status);
    known.map(|known| known.last_transition_time.0).filter(|since| *since <= now).unwrap_or(now)
}
