//! The check's eyes on versions: what the statuses of the policies say, and nothing else.

use api::policy::VersionSeen;
use api::shadow::Observed;
use api::timestamp;
use api::versions::{self, Promotion, VersionRule};
use jiff::SignedDuration;
use semver::Version;

use super::Broken;
use crate::action::Action;
use crate::snapshot::{PolicyFacts, Snapshot};

/// Whether the version lies in the policy's range, is old enough, was promoted, and is no way back.
pub(super) fn is_right(
    snapshot: &Snapshot,
    applies: &PolicyFacts,
    observed: &Observed,
    action: &Action,
) -> Result<(), Broken> {
    let version = action.desired.version.as_ref().ok_or(Broken::Desired)?;
    let rule = &applies.accepted.as_ref().map_err(|_| Broken::Policy)?.versions;
    let in_range = rule.constraint.as_ref().is_none_or(|range| range.matches(version));
    let of_age = rule.minimum_age.is_none_or(|age| is_of_age(snapshot, version, age));
    let latched = is_same_rule(applies, rule) && entry(applies, version).is_some_and(|seen| seen.promoted_at.is_some());
    let promoted = latched || rule.after.iter().all(|step| is_soaked(snapshot, step, version));
    if in_range && of_age && promoted && !is_way_back(observed, version) { Ok(()) } else { Err(Broken::Version) }
}

/// Whether what is stored as promoted was promoted under this rule.
fn is_same_rule(applies: &PolicyFacts, rule: &VersionRule) -> bool {
    let under = applies.status.iter().flat_map(|status| &status.promoted_under);
    under
        .map(|step| (step.policy.as_str(), step.soak_seconds))
        .eq(rule.after.iter().map(|step| (step.policy.as_str(), step.soak.as_secs())))
}

/// An older version than the one that runs, without a version-lock that names it. A host with an original agent chooses itself.
fn is_way_back(observed: &Observed, version: &Version) -> bool {
    let locked = observed.version_lock.as_deref().and_then(versions::locked);
    observed.agent_version.is_some() && *version < observed.current_version && locked.as_ref() != Some(version)
}

fn is_of_age(snapshot: &Snapshot, version: &Version, age: SignedDuration) -> bool {
    let seen = snapshot.policies.values().filter_map(|policy| entry(policy, version)?.first_seen.as_deref());
    let first = seen.filter_map(|text| timestamp::parse(text).ok()).min();
    first.and_then(|first| first.checked_add(age).ok()).is_some_and(|of_age| of_age <= snapshot.now)
}

/// What runs a newer version has come past this one.
fn is_soaked(snapshot: &Snapshot, step: &Promotion, version: &Version) -> bool {
    let first = snapshot.policies.get(&step.policy).and_then(|policy| policy.status.as_ref());
    let runs = first.into_iter().flat_map(|status| &status.versions);
    let newer = runs.filter(|seen| Version::parse(&seen.version).is_ok_and(|seen| seen >= *version));
    let since = newer.filter_map(|seen| timestamp::parse(seen.run_since.as_ref()?).ok()).min();
    since.and_then(|since| since.checked_add(step.soak).ok()).is_some_and(|until| until <= snapshot.now)
}

fn entry<'a>(policy: &'a PolicyFacts, version: &Version) -> Option<&'a VersionSeen> {
    let mut versions = policy.status.iter().flat_map(|status| &status.versions);
    versions.find(|seen| Version::parse(&seen.version).is_ok_and(|seen| seen == *version))
}
