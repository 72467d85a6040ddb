//! What the rules look at, and the questions that several of them ask.

use std::time::Duration;

use api::Shadow;
use api::shadow::{Activity, State};
use semver::Version;

use crate::observe::Observation;
use crate::updates::{Command, UpdateState, UpdateStatus, Updates};

/// How long a machine may take to go down before it is asked again.
pub const REBOOT_PATIENCE: Duration = Duration::from_secs(300);
/// Longest sleep: the loop shows that it is alive at least this often.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A shadow and a host that both answered.
pub(crate) struct View<'a> {
    pub(crate) o: &'a Observation,
    pub(crate) shadow: &'a Shadow,
    pub(crate) running: &'a Version,
    pub(crate) updates: &'a Updates,
}

impl View<'_> {
    /// The state that was last reported.
    pub(super) fn reported(&self) -> Option<State> {
        self.shadow.observed.as_ref().map(|report| report.state)
    }

    /// The update status: as read just now or, while our own refresh runs, as it was before; a refresh changes no partition.
    pub(super) fn status(&self) -> Option<&UpdateStatus> {
        match self.updates {
            Updates::Known(status) => Some(status),
            Updates::Busy if self.runs(Command::Refresh) => self.o.memory.known.as_deref(),
            Updates::Busy | Updates::Uninitialised | Updates::Unreadable(_) => None,
        }
    }

    /// Whether the staged image is set for the next boot.
    pub(super) fn ready(&self) -> bool {
        self.status().is_some_and(|status| status.update_state == UpdateState::Ready)
    }

    /// The activity that was last reported.
    pub(super) fn activity(&self) -> Option<Activity> {
        self.shadow.observed.as_ref()?.activity
    }

    /// Whether the host runs this command for us.
    pub(super) fn runs(&self, command: Command) -> bool {
        self.o.memory.command.as_ref().is_some_and(|issued| issued.command == command)
    }
}

/// Whether the machine may be going down at this moment. Nothing is begun then.
pub(super) fn rebooting(o: &Observation) -> bool {
    o.memory.reboot_asked.is_some_and(|asked| o.clock < asked + REBOOT_PATIENCE)
}

/// Whether the disruption has begun, as far as was reported.
pub(super) const fn begun(activity: Option<Activity>) -> bool {
    matches!(
        activity,
        Some(Activity::ExcludingFromLoadBalancer | Activity::Draining | Activity::Activating | Activity::Rebooting)
    )
}
