//! Asking the host what it is offered.

use std::time::Duration;

use super::action::{Action, Reason};
use super::command::ask;
use super::view::{LONGEST_WAIT, View};
use crate::updates::Command;

/// How old a refresh may be that is relied on.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Whether a refresh has succeeded lately.
pub(super) fn is_fresh(view: &View<'_>) -> bool {
    let age = view.o.memory.refreshed_at.map(|at| view.o.clock.saturating_sub(at));
    age.is_some_and(|age| age < FRESH)
}

/// Whether the host has said that its image has no in-place updates.
pub(super) fn unsupported(view: &View<'_>) -> bool {
    view.o.memory.unsupported_until.is_some_and(|until| view.o.clock < until)
}

/// Asks the host what it is offered when that is due; otherwise waits, and `reason` says what for.
pub(super) fn check(view: &View<'_>, reason: Reason) -> (Action, Reason) {
    let early = view.o.memory.check_at.map_or(Duration::ZERO, |at| at.saturating_sub(view.o.clock));
    if view.runs(Command::Refresh) || early.is_zero() {
        return ask(view, Command::Refresh, Reason::CheckDue);
    }
    (Action::Wait(early.min(LONGEST_WAIT)), reason)
}
