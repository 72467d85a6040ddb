//! Whether a policy's schedule lets a disruption begin now, until when, and from when on again.

use api::HoldReason;
use api::schedule::Schedule;
use jiff::Timestamp;

use super::hold::Hold;
use crate::snapshot::{PolicyFacts, Snapshot, Step};

/// A policy's schedule at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Whether a disruption may begin.
    pub open: bool,
    /// When that ends; `None` when it does not, as far as one can see.
    pub closes_at: Option<Timestamp>,
    /// When it opens again; `None` when it is open, or never does.
    pub next_opens_at: Option<Timestamp>,
    /// What the blackout that closes it is for.
    pub blackout: Option<String>,
}

/// `None` of a policy that cannot be followed.
pub(super) fn window(policy: &PolicyFacts, snapshot: &Snapshot) -> Option<Window> {
    let schedule = &policy.accepted.as_ref().ok()?.schedule;
    Some(snapshot.progress.at(policy.place(Step::Schedule), || of(schedule, snapshot.now)))
}

fn of(schedule: &Schedule, now: Timestamp) -> Window {
    let open = schedule.is_open_at(now);
    let blackout = schedule.blackout_at(now).map(|blackout| blackout.reason.clone().unwrap_or_default());
    Window {
        open,
        closes_at: schedule.closes_at(now),
        next_opens_at: if open { None } else { schedule.next_opening(now) },
        blackout,
    }
}

/// Why no disruption may begin now.
pub(super) fn closed(policy: &str, window: &Window) -> Hold {
    let why = match window.blackout.as_deref() {
        Some("") => " for a blackout".to_owned(),
        Some(reason) => format!(" for a blackout ({reason})"),
        None => String::new(),
    };
    let opens = window.next_opens_at.map_or_else(|| "does not open again".to_owned(), |at| format!("opens at {at}"));
    let reason = if window.next_opens_at.is_some() { HoldReason::OutsideWindow } else { HoldReason::NeverOpens };
    Hold::new(reason, format!("the schedule of policy {policy} is closed{why} and {opens}"))
}
