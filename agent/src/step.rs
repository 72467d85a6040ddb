//! The decision: what to do next, from what is observed.
//!
//! [`next_step`] is pure and total. It first decides what the node is doing and what that asks for ([`Draft`]); where the
//! shadow does not say so yet, saying so comes first. That way everything a restarted agent must know is stored before it is
//! acted on.

mod approval;
mod away;
mod command;
mod draft;
mod exclusion;
mod image;
pub(crate) mod pin;
mod rest;
mod words;

use std::time::Duration;

use api::Shadow;
use api::shadow::State;
use semver::Version;

pub(crate) use command::SHORT_PATIENCE;
pub use draft::{Draft, Failing};
pub use words::{Act, Step, Why};

use crate::observe::{Host, Observation, Sight};
use crate::status;
use crate::updates::{Command, UpdateState, UpdateStatus, Updates};

/// How long nobody may be on the host's socket before the process ends, so that its container is started again with the new
/// socket.
pub const SOCKET_PATIENCE: Duration = Duration::from_secs(30);
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
    fn reported(&self) -> Option<State> {
        self.shadow.observed.as_ref().map(|report| report.state)
    }

    /// The update status: as read just now or, while our own refresh runs, as it was before; a refresh changes no partition.
    fn status(&self) -> Option<&UpdateStatus> {
        match self.updates {
            Updates::Known(status) => Some(status),
            Updates::Busy if self.in_flight(Command::Refresh) => self.o.memory.known.as_deref(),
            Updates::Busy | Updates::Uninitialised | Updates::Unreadable(_) => None,
        }
    }

    /// Whether the other image is the one to boot.
    fn ready(&self) -> bool {
        self.status().is_some_and(|status| status.update_state == UpdateState::Ready)
    }

    fn in_flight(&self, command: Command) -> bool {
        self.o.memory.command.as_ref().is_some_and(|issued| issued.command == command)
    }
}

/// Decides what to do next.
#[must_use]
pub fn next_step(o: &Observation) -> Step {
    let gone = o.memory.refused_since.is_some_and(|since| o.clock >= since + SOCKET_PATIENCE);
    if gone && !rebooting(o) {
        return Step::new(Act::GiveUp, Why::SocketGone);
    }
    let shadow = match &o.shadow {
        Sight::Known(shadow) => shadow,
        Sight::Missing => return gate(o, Step::new(Act::Create, Why::ShadowMissing)),
        Sight::Unknown => return Step::new(Act::Wait(LONGEST_WAIT), Why::ShadowUnknown),
        Sight::Unreadable(_) => return Step::new(Act::Wait(LONGEST_WAIT), Why::ShadowUnreadable),
    };
    let (running, updates) = match &o.host {
        Host::Up { running, updates } => (running, updates),
        Host::Away { why, .. } => return gate(o, away::away(o, shadow, why)),
    };
    let view = View { o, shadow, running, updates };
    let draft = decide(&view);
    let why = draft.why;
    let step = match status::change(&view, &draft) {
        Some(status) if draft.reported => Step::new(Act::Observed(Box::new(status)), why),
        _ => Step::new(draft.act, why),
    };
    gate(o, step)
}

fn decide(view: &View<'_>) -> Draft {
    if rebooting(view.o) {
        let draft = Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::AwaitReboot);
        // A shadow that was made anew meanwhile says nothing yet: the first report comes after the node was given back.
        return Draft { reported: view.shadow.observed.is_some(), ..draft };
    }
    let desired = &view.shadow.desired;
    match (desired.state, &desired.version) {
        (State::Idle | State::ErrorReset, _) => rest::give_back(view, State::Idle),
        (State::MonitoringUpdate, _) => rest::give_back(view, State::MonitoringUpdate),
        (State::StagedAndPerformedUpdate, Some(version)) => image::stage(view, version),
        (State::RebootedIntoUpdate, Some(version)) => approval::approval(view, version),
        (State::StagedAndPerformedUpdate | State::RebootedIntoUpdate, None) => {
            Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::NoVersion).saying("the order names no version")
        }
    }
}

/// Whether the machine may be going down at this moment. Nothing is begun then.
fn rebooting(o: &Observation) -> bool {
    o.memory.reboot_asked.is_some_and(|asked| o.clock < asked + REBOOT_PATIENCE)
}

/// What needs the apiserver waits while it is in trouble.
fn gate(o: &Observation, step: Step) -> Step {
    match &o.memory.call_trouble {
        Some(trouble) if step.act.needs_apiserver() && o.clock < trouble.retry_at => {
            Step::new(Act::Wait(trouble.retry_at - o.clock), Why::ApiserverTrouble)
        }
        _ => step,
    }
}
