//! The version-lock: the host is held to the approved version from before that is staged until the node is restored, and
//! then to what it was held to before. The record of what was there is stored before the host is touched.

use semver::Version;

use super::action::{Action, Reason};
use super::command::ATTEMPTS;
use super::decision::Decision;
use super::lock_record::{is_ours, record, set_by_somebody_else};
use super::refresh::check;
use super::view::{LONGEST_WAIT, View};
use crate::lock::Lock;

/// Refreshes until the host is taken at its word that it would install something else. It writes its configuration files a
/// moment after a change of its settings.
const UNSEEN: u32 = 6;
/// After so many of them the same is set once more, in case the host died between the change and the files.
const AGAIN: u32 = 3;

/// What comes before `version` can be prepared; `None` when the host is held to it.
pub(super) fn set(view: &View<'_>, version: &Version, decision: &Decision) -> Option<Decision> {
    let on = &view.o.memory.on;
    let Some(lock) = &on.lock else {
        return Some(decision.clone().then(touch(view, Action::ReadLock, Reason::SetLockDue)));
    };
    let named = Lock::new(lock);
    let set = |before: String| {
        let action = Action::SetLock { from: lock.clone(), before: before.clone(), to: version.clone() };
        let pinned = Decision { lock_before: Some(before), ..decision.clone() };
        Some(pinned.then(touch(view, action, Reason::SetLockDue)))
    };
    match record(view) {
        None if named == Lock::Latest => set(lock.clone()),
        None if named.is(version) => None,
        Some(_) if named.is(version) && on.unseen != AGAIN => None,
        Some(before) if *lock == before || is_ours(view, lock) => set(before),
        // Somebody has set it, or has changed it since: it is an administrator's.
        None | Some(_) => {
            let decision = Decision { lock_before: None, ..decision.clone() };
            Some(decision.saying(set_by_others(lock)).then(check(view, Reason::LockedByOthers)))
        }
    }
}

/// What stands in the way of booting `version` from the settings' side, once the node is disrupted for it.
pub(super) enum Consent {
    /// Nothing.
    Given,
    /// It is not known yet; this first.
    NotRead(Action, Reason),
    /// Somebody else has set the lock to something else since: the node is not to run this version.
    Refused(String),
}

/// Looks whether somebody has taken the host's consent back meanwhile. A lock that was restored to what it was says nothing
/// about the version.
pub(super) fn consent(view: &View<'_>, version: &Version) -> Consent {
    let Some(lock) = &view.o.memory.on.lock else {
        let (action, reason) = touch(view, Action::ReadLock, Reason::LockDue);
        return Consent::NotRead(action, reason);
    };
    match set_by_somebody_else(view, lock) {
        Some(other) if !Lock::new(other).is(version) => Consent::Refused(set_by_others(other)),
        Some(_) | None => Consent::Given,
    }
}

fn set_by_others(lock: &str) -> String {
    format!("somebody else has set the version-lock of the host to {lock}")
}

/// Reading the lock after a refresh, at rest: what the host is offered is reported as far as the lock lets it have it.
/// `None` while there is no need, or after a failure that is not over yet.
pub(super) fn read(view: &View<'_>) -> Option<(Action, Reason)> {
    let memory = &view.o.memory;
    let due = memory.refreshed_at.is_some() && memory.on.lock.is_none();
    let step = touch(view, Action::ReadLock, Reason::LockDue);
    (due && step.0 == Action::ReadLock).then_some(step)
}

/// Whether a host that would install something else may just not show its new lock yet.
pub(super) fn is_unseen(view: &View<'_>, version: &Version) -> bool {
    let offered = view.o.memory.offered.as_ref();
    view.o.memory.on.unseen <= UNSEEN && offered.is_some_and(|offered| offered.available.contains(version))
}

/// What there is to restore.
pub(super) enum Release {
    /// Nothing, or somebody else has changed it since.
    Free,
    /// This first.
    First(Action, Reason),
    /// It cannot be restored for now, which must not keep the node; tried on, when this is due.
    Stuck(String, Option<(Action, Reason)>),
}

/// Restores what the lock was before the agent set it.
pub(super) fn release(view: &View<'_>) -> Release {
    let Some(before) = record(view) else { return Release::Free };
    let on = &view.o.memory.on;
    let action = match &on.lock {
        None => Action::ReadLock,
        Some(lock) if *lock == before || !is_ours(view, lock) => return Release::Free,
        Some(lock) => Action::RestoreLock { from: lock.clone(), to: before },
    };
    let (action, reason) = touch(view, action, Reason::RestoreLockDue);
    match &on.lock_trouble {
        Some(trouble) if trouble.count >= ATTEMPTS => {
            let due = !matches!(action, Action::Wait(_));
            Release::Stuck(trouble.text.clone(), due.then_some((action, reason)))
        }
        _ => Release::First(action, reason),
    }
}

/// Why setting the lock is given up, if it is.
pub(super) fn given_up(view: &View<'_>) -> Option<String> {
    let trouble = view.o.memory.on.lock_trouble.as_ref()?;
    (trouble.count >= ATTEMPTS)
        .then(|| format!("the version-lock could not be set, tried {} times: {}", trouble.count, trouble.text))
}

fn touch(view: &View<'_>, action: Action, reason: Reason) -> (Action, Reason) {
    match &view.o.memory.on.lock_trouble {
        Some(trouble) if view.o.clock < trouble.retry_at => {
            (Action::Wait((trouble.retry_at - view.o.clock).min(LONGEST_WAIT)), Reason::CommandTrouble)
        }
        _ => (action, reason),
    }
}
