//! What is recorded of the host's version-lock: whose it is, and what it was before the agent set it.

use semver::Version;

use super::command::ATTEMPTS;
use super::view::View;
use crate::lock::Lock;

/// What the lock was before the agent set it, if it did: as stored, in the shadow or on the Node, or as this process remembers it.
pub(super) fn record(view: &View<'_>) -> Option<String> {
    let remembered = view.o.memory.pinned.as_ref().map(|pinned| pinned.before.clone());
    view.shadow.pin().map(|pin| pin.before).or(remembered)
}

/// The version-lock as last read, where it is neither `latest` nor ours: an administrator's.
pub(super) fn administrators_lock<'a>(view: &View<'a>) -> Option<&'a str> {
    set_by_somebody_else(view, view.o.memory.lock.as_deref()?)
}

pub(super) fn set_by_somebody_else<'a>(view: &View<'_>, lock: &'a str) -> Option<&'a str> {
    let ours = record(view).is_some() && is_ours(view, lock);
    (Lock::new(lock) != Lock::Latest && !ours).then_some(lock)
}

/// The version the host was last held to by us, while the record stands: it is stored as the target.
pub(super) fn held_to(view: &View<'_>) -> Option<Version> {
    let remembered = view.o.memory.pinned.as_ref().map(|pinned| pinned.set.clone());
    remembered.or_else(|| Version::parse(&view.shadow.pin()?.set).ok())
}

/// Whether a lock is one that we have set: the last one, or the one for the desired version just before a crash.
pub(super) fn is_ours(view: &View<'_>, lock: &str) -> bool {
    let named = Lock::new(lock);
    let held = held_to(view);
    [held.as_ref(), view.shadow.desired.version.as_ref()].into_iter().flatten().any(|version| named.is(version))
}

/// Whether the lock was read since this process began, or is given up for now.
pub(super) fn is_known(view: &View<'_>) -> bool {
    let memory = &view.o.memory;
    memory.lock.is_some() || memory.on.lock_trouble.as_ref().is_some_and(|trouble| trouble.count >= ATTEMPTS)
}
