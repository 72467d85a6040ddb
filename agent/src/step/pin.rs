//! The version-lock: the host is held to the approved version from before that is staged until the node is given back, and
//! then to what it was held to before. The record of what was there is stored before the host is touched.

use semver::Version;

use super::command::ATTEMPTS;
use super::{Act, Draft, LONGEST_WAIT, View, Why};
use crate::lock::Lock;

/// Refreshes until the host is taken at its word that it would install something else. It writes its configuration files a
/// moment after a change of its settings.
const UNSEEN: u32 = 6;
/// After so many of them the same is set once more, in case the host died between the change and the files.
const AGAIN: u32 = 3;

/// What was there before the pin, if there is one: as stored, in the shadow or on the Node, or as this process remembers it.
pub(super) fn record(view: &View<'_>) -> Option<String> {
    let remembered = view.o.memory.pinned.as_ref().map(|pinned| pinned.before.clone());
    view.shadow.pin().map(|pin| pin.before).or(remembered)
}

/// What comes before `version` can be prepared; `None` when the host is held to it.
pub(super) fn pin(view: &View<'_>, version: &Version, draft: &Draft) -> Option<Draft> {
    let on = &view.o.memory.on;
    let Some(lock) = &on.lock else {
        return Some(draft.clone().then(touch(view, Act::ReadLock, Why::PinDue)));
    };
    let named = Lock::new(lock);
    let set = |before: String| {
        let act = Act::Pin { from: lock.clone(), before: before.clone(), to: version.clone() };
        let pinned = Draft { lock_before: Some(before), ..draft.clone() };
        Some(pinned.then(touch(view, act, Why::PinDue)))
    };
    match record(view) {
        None if named == Lock::Latest => set(lock.clone()),
        None if named.is(version) => None,
        Some(_) if named.is(version) && on.unseen != AGAIN => None,
        Some(before) if *lock == before || is_ours(view, lock) => set(before),
        // Somebody has set it, or has changed it since: it is theirs.
        None | Some(_) => {
            let draft = Draft { lock_before: None, ..draft.clone() };
            Some(draft.saying(set_by_others(lock)).then(super::rest::check(view, Why::PinnedByOthers)))
        }
    }
}

/// What stands in the way of booting `version` from the settings' side, once the node is disrupted for it.
pub(super) enum Consent {
    /// Nothing.
    Given,
    /// It is not known yet; this first.
    Unread(Act, Why),
    /// Somebody else has set the lock to something else since: the node is not to run this version.
    Refused(String),
}

/// Looks whether somebody has taken the host's consent back meanwhile. A lock that was put back to what it was says nothing
/// about the version.
pub(super) fn consent(view: &View<'_>, version: &Version) -> Consent {
    let Some(lock) = &view.o.memory.on.lock else {
        let (act, why) = touch(view, Act::ReadLock, Why::LockDue);
        return Consent::Unread(act, why);
    };
    match set_by_somebody_else(view, lock) {
        Some(other) if !Lock::new(other).is(version) => Consent::Refused(set_by_others(other)),
        Some(_) | None => Consent::Given,
    }
}

/// The version-lock as last read, where it is neither `latest` nor ours: an administrator's.
pub(crate) fn theirs<'a>(view: &View<'a>) -> Option<&'a str> {
    set_by_somebody_else(view, view.o.memory.lock.as_deref()?)
}

fn set_by_somebody_else<'a>(view: &View<'_>, lock: &'a str) -> Option<&'a str> {
    let ours = record(view).is_some() && is_ours(view, lock);
    (Lock::new(lock) != Lock::Latest && !ours).then_some(lock)
}

fn set_by_others(lock: &str) -> String {
    format!("somebody else has set the version-lock of the host to {lock}")
}

/// Reading the lock after a refresh, at rest: what the host is offered is reported as far as the lock lets it have it.
/// `None` while there is no need, or after a failure that is not over yet.
pub(super) fn read(view: &View<'_>) -> Option<(Act, Why)> {
    let memory = &view.o.memory;
    let due = memory.refreshed_at.is_some() && memory.on.lock.is_none();
    let step = touch(view, Act::ReadLock, Why::LockDue);
    (due && step.0 == Act::ReadLock).then_some(step)
}

/// Whether the lock was read since this process began, or is given up for now.
pub(crate) fn is_known(view: &View<'_>) -> bool {
    let memory = &view.o.memory;
    memory.lock.is_some() || memory.on.lock_trouble.as_ref().is_some_and(|trouble| trouble.count >= ATTEMPTS)
}

/// Whether a host that would install something else may just not show the pin yet.
pub(super) fn is_unseen(view: &View<'_>, version: &Version) -> bool {
    let offered = view.o.memory.offered.as_ref();
    view.o.memory.on.unseen <= UNSEEN && offered.is_some_and(|offered| offered.available.contains(version))
}

/// What there is to put back.
pub(super) enum Release {
    /// Nothing, or somebody else has changed it since.
    Free,
    /// This first.
    First(Act, Why),
    /// It cannot be put back for now, which must not keep the node; tried on, when this is due.
    Stuck(String, Option<(Act, Why)>),
}

/// Puts back what was there before the pin.
pub(super) fn release(view: &View<'_>) -> Release {
    let Some(before) = record(view) else { return Release::Free };
    let on = &view.o.memory.on;
    let act = match &on.lock {
        None => Act::ReadLock,
        Some(lock) if *lock == before || !is_ours(view, lock) => return Release::Free,
        Some(lock) => Act::Unpin { from: lock.clone(), to: before },
    };
    let (act, why) = touch(view, act, Why::UnpinDue);
    match &on.lock_trouble {
        Some(trouble) if trouble.count >= ATTEMPTS => {
            let due = !matches!(act, Act::Wait(_));
            Release::Stuck(trouble.text.clone(), due.then_some((act, why)))
        }
        _ => Release::First(act, why),
    }
}

/// The version the host was last held to by us, while the record stands: it is stored as the target.
pub(crate) fn held_to(view: &View<'_>) -> Option<Version> {
    let remembered = view.o.memory.pinned.as_ref().map(|pinned| pinned.set.clone());
    remembered.or_else(|| Version::parse(&view.shadow.pin()?.set).ok())
}

/// Whether a lock is one that we have set: the last one, or the one for the present order just before a crash.
fn is_ours(view: &View<'_>, lock: &str) -> bool {
    let named = Lock::new(lock);
    let held = held_to(view);
    [held.as_ref(), view.shadow.desired.version.as_ref()].into_iter().flatten().any(|version| named.is(version))
}

/// Why the pin is given up, if it is.
pub(super) fn given_up(view: &View<'_>) -> Option<String> {
    let trouble = view.o.memory.on.lock_trouble.as_ref()?;
    (trouble.count >= ATTEMPTS)
        .then(|| format!("the version-lock could not be set, tried {} times: {}", trouble.count, trouble.text))
}

fn touch(view: &View<'_>, act: Act, why: Why) -> (Act, Why) {
    match &view.o.memory.on.lock_trouble {
        Some(trouble) if view.o.clock < trouble.retry_at => {
            (Act::Wait((trouble.retry_at - view.o.clock).min(LONGEST_WAIT)), Why::CommandTrouble)
        }
        _ => (act, why),
    }
}
