//! Giving the node back, and doing nothing.

use std::time::Duration;

use api::shadow::{Activity, State};

use super::command::{ATTEMPTS, LONG_PATIENCE, UNREADABLE_PATIENCE, ask, occupied};
use super::pin::{self, Release, release};
use super::{Act, Draft, LONGEST_WAIT, View, Why};
use crate::updates::{Command, Updates};

/// Gives the node back unless it is, and ends in `end`.
pub(super) fn give_back(view: &View<'_>, end: State) -> Draft {
    let reported = view.reported();
    let done = reported == Some(end) || (end == State::Idle && reported == Some(State::MonitoringUpdate));
    let late = view.o.memory.late && view.ready();
    if late || (!done && (active(view) || unsettled(view) || !view.o.memory.on.given_back)) {
        return giving_back(view, next(view));
    }
    match release(view) {
        Release::Free => Draft { lock_before: None, ..at_rest(view, end) },
        Release::First(act, why) => giving_back(view, (act, why)),
        Release::Stuck(text, due) => {
            let draft = at_rest(view, end).saying(format!("the version-lock could not be put back: {text}"));
            due.map_or(draft.clone(), |due| draft.then(due))
        }
    }
}

fn giving_back(view: &View<'_>, next: (Act, Why)) -> Draft {
    let reported = view.reported();
    let draft = Draft {
        // Before the first report there is no state that could be kept; the node is given back first.
        reported: reported.is_some(),
        ..Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::GiveBack)
    };
    let draft = draft.doing(Activity::GivingBack).then(next);
    // What failed is said until the node is given back.
    if reported == Some(State::ErrorReset) { draft } else { draft.silent() }
}

/// Whether an image that nobody approved would be booted: after a success nothing is active, and an order to give back names
/// nothing to boot.
fn active(view: &View<'_>) -> bool {
    view.ready() || view.in_flight(Command::Deactivate)
}

/// Whether an activation may still come to its end, so that it cannot be said yet that nothing is active: ours, or one of a
/// process before this one. The node is given back meanwhile; only the report waits, and not for ever.
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

fn next(view: &View<'_>) -> (Act, Why) {
    let on = &view.o.memory.on;
    let attempts = on.trouble.get(&Command::Deactivate).map_or(0, |trouble| trouble.count);
    // A repository that is down stops a deactivation; it must not keep the node cordoned.
    if view.ready() && (attempts < ATTEMPTS || on.given_back) {
        return ask(view, Command::Deactivate, Why::UnapprovedReady);
    }
    if !on.given_back {
        let early = on.give_back_at.saturating_sub(view.o.clock);
        // The label first: load balancers take a while to see that it is gone.
        let act = if on.included { Act::Uncordon } else { Act::Include };
        return if early.is_zero() { (act, Why::GiveBack) } else { (Act::Wait(early), Why::GiveBackUnseen) };
    }
    occupied(view).unwrap_or((Act::Wait(LONGEST_WAIT), Why::GiveBack))
}

fn at_rest(view: &View<'_>, end: State) -> Draft {
    let draft = Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::AwaitIdle).state(end).silent();
    if end != State::Idle {
        return draft.doing(Activity::Idle);
    }
    let memory = &view.o.memory;
    let first = view.shadow.observed.as_ref().is_none_or(|report| report.activity == Some(Activity::Checking));
    let refreshed = memory.refreshed_at.is_some() && pin::is_known(view);
    let checked = refreshed || memory.on.trouble.contains_key(&Command::Refresh) || unsupported(view);
    let activity = if first && !checked { Activity::Checking } else { Activity::Idle };
    let look = if view.in_flight(Command::Refresh) { None } else { pin::read(view) };
    let draft = draft.doing(activity).then(look.unwrap_or_else(|| check(view, Why::NothingToDo)));
    match (memory.on.trouble.get(&Command::Refresh), pin::theirs(view)) {
        _ if unsupported(view) => draft.saying("this image has no in-place updates"),
        (Some(trouble), _) => draft.saying(format!("the check for updates failed: {}", trouble.text)),
        (None, Some(lock)) => draft.saying(format!("the version-lock of the host allows {lock} alone")),
        (None, None) => draft,
    }
}

pub(super) fn unsupported(view: &View<'_>) -> bool {
    view.o.memory.unsupported_until.is_some_and(|until| view.o.clock < until)
}

/// Asks the host what it is offered when that is due; otherwise waits, and `why` says what for.
pub(super) fn check(view: &View<'_>, why: Why) -> (Act, Why) {
    let early = view.o.memory.check_at.map_or(Duration::ZERO, |at| at.saturating_sub(view.o.clock));
    if view.in_flight(Command::Refresh) || early.is_zero() {
        return ask(view, Command::Refresh, Why::CheckDue);
    }
    (Act::Wait(early.min(LONGEST_WAIT)), why)
}
