//! Which version one node takes.

use jiff::Timestamp;
use semver::Version;

use super::{Held, Releases};
use crate::plan::hold::Hold;
use crate::plan::offers::{Offer, is_locked_to};
use crate::snapshot::PolicyFacts;

/// Which version a node takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice<'a> {
    /// It runs the newest that its policy will ever take of what it is offered.
    Current,
    /// This one.
    Take(&'a Version),
    /// There are newer ones, and none may be taken yet: why the newest of them may not.
    Held(Hold),
}

impl<'a> Choice<'a> {
    /// The version to take.
    pub(crate) const fn taken(&self) -> Option<&'a Version> {
        match self {
            Self::Take(version) => Some(version),
            Self::Current | Self::Held(_) => None,
        }
    }
}

/// The newest that may be taken of what the node is offered, and when time alone may change that.
pub(crate) fn choose<'a>(
    releases: &Releases<'_>,
    policy: Option<&PolicyFacts>,
    offer: &Offer<'a>,
    now: Timestamp,
) -> (Choice<'a>, Option<Timestamp>) {
    let mut candidates: Vec<_> = candidates(offer, policy).collect();
    candidates.sort_by(|one, other| other.cmp(one));
    let (mut newest, mut changes): (_, Option<Timestamp>) = (Choice::Current, None);
    for version in candidates {
        let Some(Held { reason, why, until }) = policy.and_then(|policy| releases.hold(policy, version, now)) else {
            return (Choice::Take(version), changes);
        };
        changes = changes.into_iter().chain(until).min();
        if newest == Choice::Current {
            newest = Choice::Held(Hold::new(reason, why));
        }
    }
    (newest, changes)
}

/// Whether the node may still take `version`, whatever newer ones there are.
pub(crate) fn may_take(
    releases: &Releases<'_>,
    policy: Option<&PolicyFacts>,
    offer: &Offer<'_>,
    version: &Version,
    now: Timestamp,
) -> bool {
    let held = policy.and_then(|policy| releases.hold(policy, version, now));
    held.is_none() && candidates(offer, policy).any(|candidate| candidate == version)
}

/// What the node is offered and its policy's range allows.
fn candidates<'a>(offer: &Offer<'a>, policy: Option<&PolicyFacts>) -> impl Iterator<Item = &'a Version> {
    let range = policy.and_then(|policy| policy.accepted.as_ref().ok()?.versions.constraint.as_ref());
    let in_range = move |version: &&Version| range.is_none_or(|range| range.matches(version));
    offered(*offer).filter(in_range)
}

/// What the node is offered and would move it: newer versions, and an older one only where an administrator's version-lock
/// names it. A host with an original agent has chosen by itself.
fn offered(offer: Offer<'_>) -> impl Iterator<Item = &Version> {
    let chosen = Some(offer.target).filter(|_| offer.available.is_empty());
    let moves = move |version: &&Version| {
        let newer = *version > offer.current || offer.original || is_locked_to(offer.lock, version);
        newer && *version != offer.current
    };
    offer.available.iter().chain(chosen).filter(moves)
}
