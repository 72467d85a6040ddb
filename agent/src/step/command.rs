//! Asking the host for something, or waiting until that makes sense.

use std::time::Duration;

use super::action::{Action, Reason};
use super::view::{LONGEST_WAIT, View};
use crate::updates::{Command, Updates};

/// Longest a refresh, an activation or its reverse takes: a repository that never answers holds the lock for 151 s.
pub(crate) const SHORT_PATIENCE: Duration = Duration::from_secs(6 * 60);
/// Longest a download may take.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(30 * 60);
/// How long a status that cannot be read is waited for before a refresh is tried, which replaces what makes it unreadable: the
/// standard error of the last command has no bound.
pub(super) const UNREADABLE_PATIENCE: Duration = Duration::from_secs(3 * 60);
/// Failures in a row after which a command is given up, where it is given up.
pub(super) const ATTEMPTS: u32 = 3;

/// Asks for `command` as soon as the host can take it. It is not given up here.
pub(super) fn ask(view: &View<'_>, command: Command, reason: Reason) -> (Action, Reason) {
    let memory = &view.o.memory;
    let clock = view.o.clock;
    let until = |then: Duration| Action::Wait((then - clock).min(LONGEST_WAIT));
    if let Some(until_then) = memory.unsupported_until.filter(|then| clock < *then) {
        return (until(until_then), Reason::Unsupported);
    }
    if let Some(waiting) = occupied(view) {
        return waiting;
    }
    if clock < memory.hold_until {
        return (until(memory.hold_until), Reason::HostBusy);
    }
    match memory.on.trouble.get(&command) {
        Some(trouble) if clock < trouble.retry_at => (until(trouble.retry_at), Reason::CommandTrouble),
        _ => (Action::Command(command), reason),
    }
}

/// What to wait for while the host cannot take a command.
pub(super) fn occupied(view: &View<'_>) -> Option<(Action, Reason)> {
    let clock = view.o.clock;
    if let Some(issued) = &view.o.memory.command {
        return Some((Action::Wait(poll(clock.saturating_sub(issued.at))), Reason::HostWorks));
    }
    match view.updates {
        Updates::Uninitialised | Updates::Known(_) => None,
        Updates::Unreadable(_) if unreadable_for(view) >= UNREADABLE_PATIENCE => None,
        Updates::Busy | Updates::Unreadable(_) => Some((Action::Wait(poll(unreadable_for(view))), Reason::HostBusy)),
    }
}

fn unreadable_for(view: &View<'_>) -> Duration {
    view.o.memory.unreadable_since.map_or(Duration::ZERO, |since| view.o.clock.saturating_sub(since))
}

/// Why there is no more hope for the host, if there is none: what it does takes longer than anything takes.
pub(super) fn overdue(view: &View<'_>) -> Option<String> {
    let clock = view.o.clock;
    if let Some(issued) = &view.o.memory.command {
        let patience = if issued.command == Command::Prepare { LONG_PATIENCE } else { SHORT_PATIENCE };
        let over = clock.saturating_sub(issued.at) >= patience;
        return over
            .then(|| format!("{} has not ended in {} minutes", issued.command.as_str(), patience.as_secs() / 60));
    }
    let since = view.o.memory.unreadable_since?;
    let over = clock.saturating_sub(since) >= LONG_PATIENCE;
    over.then(|| match view.updates {
        Updates::Unreadable(why) => format!("the host cannot give its update status: {why}"),
        _ => format!("the host has been busy for {} minutes", LONG_PATIENCE.as_secs() / 60),
    })
}

/// Why `command` is given up, if it is.
pub(super) fn given_up(view: &View<'_>, command: Command) -> Option<String> {
    let trouble = view.o.memory.on.trouble.get(&command)?;
    (trouble.count >= ATTEMPTS)
        .then(|| format!("{} failed {} times: {}", command.as_str(), trouble.count, trouble.text))
}

/// Until the status is read again: often at first, seldom in a long action, hardly when something is stuck.
fn poll(elapsed: Duration) -> Duration {
    if elapsed >= LONG_PATIENCE {
        return Duration::from_secs(30);
    }
    (elapsed / 10).clamp(Duration::from_millis(200), Duration::from_secs(2))
}
