//! Which versions a policy knows, and which of them its nodes may take.
//!
//! ```text
//! stored in the policies' statuses + what living nodes offer and run -> seen -> promotion -> choice, node by node
//! ```

mod choice;
mod promotion;
mod seen;

use std::collections::BTreeMap;

use api::HoldReason;
use jiff::Timestamp;
use semver::Version;

use super::halt::Failures;
use super::hold::Hold;
use super::view::View;
use crate::snapshot::{PolicyFacts, Snapshot};

pub(super) use choice::{Choice, choose, may_take};

/// What a policy knows of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// When this cluster was offered it first.
    pub first_seen: Timestamp,
    /// From when on it may be taken, as far as is known.
    pub eligible_at: Option<Timestamp>,
    /// When it was promoted; `None` also where nothing goes before.
    pub promoted_at: Option<Timestamp>,
    /// The node that has run it or a newer one, healthy, for longest, and since when.
    pub run: Option<(String, Timestamp)>,
    /// Nodes of the policy that run it.
    pub nodes: usize,
    /// Nodes of the policy that failed on it.
    pub failed: usize,
    /// Why it is not promoted yet, and when it will be if nothing else happens.
    pending: Option<Held>,
}

/// Why a version may not be taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// Whether time and others' updates will do, or somebody has to help.
    pub(super) reason: HoldReason,
    /// One sentence.
    pub(super) why: String,
    /// When time alone will change that.
    pub(super) until: Option<Timestamp>,
}

/// What every policy knows of its versions.
#[derive(Debug, Default)]
pub(super) struct Releases<'a>(BTreeMap<&'a str, BTreeMap<Version, Release>>);

impl<'a> Releases<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, view: &View<'a>, failures: &Failures<'a>) -> Self {
        let mut releases = seen::seen(snapshot, view, failures);
        promotion::promote(snapshot, &mut releases);
        for (name, releases) in &mut releases {
            if let Some(policy) = snapshot.policies.get(*name) {
                releases.iter_mut().for_each(|(version, release)| set_eligible_at(policy, version, release));
            }
        }
        Self(releases)
    }

    /// Why the policy lets `version` not be taken now, by a node that has come to it already: an original agent keeps what it has
    /// activated.
    pub(super) fn forbid(&self, policy: &PolicyFacts, version: &Version, now: Timestamp) -> Option<Hold> {
        let range = policy.accepted.as_ref().ok()?.versions.constraint.as_ref();
        match range.filter(|range| !range.matches(version)) {
            Some(range) => {
                let why = format!("version {version} is not in the range {range} of policy {}", policy.name);
                Some(Hold::new(HoldReason::VersionHeld, why))
            }
            None => self.hold(policy, version, now).map(|held| Hold::new(held.reason, held.why)),
        }
    }

    /// When time alone may let the policy's nodes take `version`, which they may not now.
    pub(super) fn held_until(&self, policy: &PolicyFacts, version: &Version, now: Timestamp) -> Option<Timestamp> {
        self.hold(policy, version, now).and_then(|held| held.until)
    }

    /// Why `version`, which lies in the policy's range, may not be taken now.
    fn hold(&self, policy: &PolicyFacts, version: &Version, now: Timestamp) -> Option<Held> {
        let rule = &policy.accepted.as_ref().ok()?.versions;
        let release = self.0.get(policy.name.as_str()).and_then(|releases| releases.get(version));
        let first_seen = release.map_or(now, |release| release.first_seen);
        let of_age = rule.minimum_age.and_then(|age| first_seen.checked_add(age).ok());
        if let Some(of_age) = of_age.filter(|of_age| *of_age > now) {
            // What is not stored yet is told without a time: the next plan has another.
            let why = if first_seen < now {
                format!("version {version} was first seen at {first_seen} and may be taken from {of_age} on")
            } else {
                format!("version {version} is new here and not old enough")
            };
            return Some(Held { reason: HoldReason::VersionHeld, why, until: Some(of_age) });
        }
        if rule.after.is_empty() {
            return None;
        }
        let unknown = || {
            let why = format!("version {version} is not known to policy {} yet", policy.name);
            Held { reason: HoldReason::VersionHeld, why, until: None }
        };
        release.map_or_else(|| Some(unknown()), |release| release.pending.clone())
    }

    /// Everything, for the statuses.
    pub(super) fn into_all(self) -> BTreeMap<String, BTreeMap<Version, Release>> {
        self.0.into_iter().map(|(policy, releases)| (policy.to_owned(), releases)).collect()
    }
}

fn set_eligible_at(policy: &PolicyFacts, version: &Version, release: &mut Release) {
    let Ok(accepted) = &policy.accepted else { return };
    let rule = &accepted.versions;
    let in_range = rule.constraint.as_ref().is_none_or(|range| range.matches(version));
    let of_age = rule.minimum_age.map_or(Some(release.first_seen), |age| release.first_seen.checked_add(age).ok());
    let promoted = if rule.after.is_empty() { Some(release.first_seen) } else { release.promoted_at };
    release.eligible_at = of_age.zip(promoted).filter(|_| in_range).map(|(of_age, promoted)| of_age.max(promoted));
}
