//! The decision: what to do next, from what is observed.
//!
//! [`next_step`] is pure and total. It first decides what the node is doing and what that asks for (`decision`); where the
//! shadow does not say so yet, saying so comes first. That way everything a restarted agent must know is stored before it is
//! acted on.
//!
//! ```text
//! action, view ◄─ command ◄─ lock_record ◄─ decision, refresh ◄─ version_lock ◄─ image, restore ◄─ approval ◄─ next_step
//! ```

mod action;
mod approval;
mod command;
mod decision;
mod exclusion;
mod image;
mod lock_record;
mod refresh;
mod restore;
mod status;
mod unreachable;
mod version_lock;
mod view;

use std::time::Duration;

use api::shadow::State;

pub use action::{Action, Reason, Step};
pub(crate) use command::SHORT_PATIENCE;
use decision::Decision;
pub use status::AGENT_VERSION;
pub use view::{LONGEST_WAIT, REBOOT_PATIENCE};
use view::{View, rebooting};

use crate::observe::{Host, Observation, ShadowReading};

/// How long nobody may be on the host's socket before the process ends, so that its container is started again with the new
/// socket.
pub const SOCKET_PATIENCE: Duration = Duration::from_secs(30);

/// Decides what to do next.
#[must_use]
pub fn next_step(o: &Observation) -> Step {
    let gone = o.memory.refused_since.is_some_and(|since| o.clock >= since + SOCKET_PATIENCE);
    if gone && !rebooting(o) {
        return Step::new(Action::Exit, Reason::SocketGone);
    }
    let shadow = match &o.shadow {
        ShadowReading::Known(shadow) => shadow,
        ShadowReading::Missing => return gate(o, Step::new(Action::Create, Reason::ShadowMissing)),
        ShadowReading::Unknown => return Step::new(Action::Wait(LONGEST_WAIT), Reason::ShadowUnknown),
        ShadowReading::Unreadable(_) => return Step::new(Action::Wait(LONGEST_WAIT), Reason::ShadowUnreadable),
    };
    let (running, updates) = match &o.host {
        Host::Up { running, updates } => (running, updates),
        Host::Away { why, .. } => return gate(o, unreachable::unreachable(o, shadow, why)),
    };
    let view = View { o, shadow, running, updates };
    let decision = decide(&view);
    let why = decision.reason;
    let step = match status::change(&view, &decision) {
        Some(status) if decision.reported => Step::new(Action::Report(Box::new(status)), why),
        _ => Step::new(decision.action, why),
    };
    gate(o, step)
}

fn decide(view: &View<'_>) -> Decision {
    if rebooting(view.o) {
        let decision = Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::AwaitReboot);
        // A shadow that was made anew meanwhile says nothing yet: the first report comes after the node was restored.
        return Decision { reported: view.shadow.observed.is_some(), ..decision };
    }
    let desired = &view.shadow.desired;
    match (desired.state, &desired.version) {
        (State::Idle | State::ErrorReset, _) => restore::restore(view, State::Idle),
        (State::MonitoringUpdate, _) => restore::restore(view, State::MonitoringUpdate),
        (State::StagedAndPerformedUpdate, Some(version)) => image::stage(view, version),
        (State::RebootedIntoUpdate, Some(version)) => approval::approval(view, version),
        (State::StagedAndPerformedUpdate | State::RebootedIntoUpdate, None) => {
            Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::NoVersion)
                .saying("the shadow names no version")
        }
    }
}

/// What needs the apiserver waits while it is in trouble.
fn gate(o: &Observation, step: Step) -> Step {
    match &o.memory.call_trouble {
        Some(trouble) if step.action.needs_apiserver() && o.clock < trouble.retry_at => {
            Step::new(Action::Wait(trouble.retry_at - o.clock), Reason::ApiserverTrouble)
        }
        _ => step,
    }
}
