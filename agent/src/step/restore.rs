//! Restoring the node, and being at rest.

use api::shadow::{Activity, State};

use super::action::{Action, Reason};
use super::command::{ATTEMPTS, LONG_PATIENCE, UNREADABLE_PATIENCE, ask, occupied};
use super::decision::Decision;
use super::lock_record;
use super::refresh::{check, unsupported};
use super::version_lock::{self, Release, release};
use super::view::{LONGEST_WAIT, View};
use crate::updates::{Command, Updates};

/// Restores the node unless it is restored, and ends in `end`.
pub(super) fn restore(view: &View<'_>, end: State) -> Decision {
    let reported = view.reported();
    let done = reported == Some(end) || (end == State::Idle && reported == Some(State::MonitoringUpdate));
    let late = view.o.memory.late && view.ready();
    if late || (!done && (active(view) || unsettled(view) || !view.o.memory.on.restored)) {
        return restoring(view, next(view));
    }
    match release(view) {
        Release::Free => Decision { lock_before: None, ..at_rest(view, end) },
        Release::First(action, reason) => restoring(view, (action, reason)),
        Release::Stuck(text, due) => {
            let decision = at_rest(view, end).saying(format!("the version-lock could not be restored: {text}"));
            due.map_or(decision.clone(), |due| decision.then(due))
        }
    }
}

fn restoring(view: &View<'_>, next: (Action, Reason)) -> Decision {
    let reported = view.reported();
    let decision = Decision {
        // Before the first report there is no state that could be kept; the node is restored first.
        reported: reported.is_some(),
        ..Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::Restore)
    };
    let decision = decision.doing(Activity::GivingBack).then(next);
    // What failed is said until the node is restored.
    if reported == Some(State::ErrorReset) { decision } else { decision.silent() }
}

/// Whether an image that nobody approved would be booted: after a success nothing is active, and a restore names
/// nothing to boot.
fn active(view: &View<'_>) -> bool {
    view.ready() || view.runs(Command::Deactivate)
}

/// Whether an activation may still come to its end, so that it cannot be said yet that nothing is active: ours, or one of a
/// process before this one. The node is restored meanwhile; only the report waits, and not for ever.
fn unsettled(view: &View<'_>) -> bool {
    let clock = view.o.clock;
    match (&view.o.memory.command, view.o.memory.unreadable_since) {
        (Some(issued), _) if issued.command == Command::Activate => clock.saturating_sub(issued.at) < LONG_PATIENCE,
        (None, Some(since)) if matches!(view.updates, Updates::Busy) => clock.saturating_sub(since) < LONG_PATIENCE,
        // No activation lasts that long: what makes the status unreadable is something else.
        (None, Some(since)) => clock.saturating_sub(since) < UNREADABLE_PATIENCE,
        (Some(_) | None, _) => false,
    }
}

fn next(view: &View<'_>) -> (Action, Reason) {
    let on = &view.o.memory.on;
    let attempts = on.trouble.get(&Command::Deactivate).map_or(0, |trouble| trouble.count);
    // A repository that is down stops a deactivation; it must not keep the node cordoned.
    if view.ready() && (attempts < ATTEMPTS || on.restored) {
        return ask(view, Command::Deactivate, Reason::UnapprovedReady);
    }
    if !on.restored {
        let early = on.restore_at.saturating_sub(view.o.clock);
        // The label first: load balancers take a while to see that it is gone.
        let action = if on.included { Action::Uncordon } else { Action::Include };
        return if early.is_zero() { (action, Reason::Restore) } else { (Action::Wait(early), Reason::RestoreUnseen) };
    }
    occupied(view).unwrap_or((Action::Wait(LONGEST_WAIT), Reason::Restore))
}

fn at_rest(view: &View<'_>, end: State) -> Decision {
    let decision = Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::AwaitIdle).state(end).silent();
    if end != State::Idle {
        return decision.doing(Activity::Idle);
    }
    let memory = &view.o.memory;
    let first = view.shadow.observed.as_ref().is_none_or(|report| report.activity == Some(Activity::Checking));
    let refreshed = memory.refreshed_at.is_some() && lock_record::is_known(view);
    let checked = refreshed || memory.on.trouble.contains_key(&Command::Refresh) || unsupported(view);
    let activity = if first && !checked { Activity::Checking } else { Activity::Idle };
    let look = if view.runs(Command::Refresh) { None } else { version_lock::read(view) };
    let decision = decision.doing(activity).then(look.unwrap_or_else(|| check(view, Reason::NothingToDo)));
    match (memory.on.trouble.get(&Command::Refresh), lock_record::administrators_lock(view)) {
        _ if unsupported(view) => decision.saying("this image has no in-place updates"),
        (Some(trouble), _) => decision.saying(format!("the check for updates failed: {}", trouble.text)),
        (None, Some(lock)) => decision.saying(format!("the version-lock of the host allows {lock} alone")),
        (None, None) => decision,
    }
}
