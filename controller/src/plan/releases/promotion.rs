//! Promotion: a version that nodes of other policies have run for long enough, and none has failed on.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use api::HoldReason;
use api::versions::{Promotion, cycle, told};
use semver::Version;

use super::{Held, Release};
use crate::snapshot::{PolicyFacts, Snapshot};

type Listed<'a> = BTreeMap<&'a str, BTreeMap<Version, Release>>;

/// Latches what is promoted, and unlatches what has failed since.
pub(super) fn promote(snapshot: &Snapshot, listed: &mut Listed<'_>) {
    let accepted = snapshot.policies.values().filter_map(|policy| Some((policy, policy.accepted.as_ref().ok()?)));
    let after: BTreeMap<String, Vec<String>> = accepted
        .map(|(policy, accepted)| {
            (policy.name.clone(), accepted.versions.after.iter().map(|step| step.policy.clone()).collect())
        })
        .collect();
    for policy in snapshot.policies.values() {
        let Ok(accepted) = &policy.accepted else { continue };
        let steps = &accepted.versions.after;
        if steps.is_empty() {
            continue;
        }
        let circle = cycle(&policy.name, &after);
        let versions: Vec<_> =
            listed.get(policy.name.as_str()).into_iter().flat_map(|all| all.keys().cloned()).collect();
        for version in versions {
            let pending = match &circle {
                Some(way) => Some(blocked(format!("policies wait for each other: {}", told(way)))),
                None => pending(snapshot, listed, (policy, steps), &version),
            };
            let Some(release) = listed.get_mut(policy.name.as_str()).and_then(|all| all.get_mut(&version)) else {
                continue;
            };
            release.promoted_at = if pending.is_some() { None } else { release.promoted_at.or(Some(snapshot.now)) };
            release.pending = pending;
        }
    }
}

/// The step that stands in the way, if one does: first one that somebody has to help with, then one that others have to run; of
/// several that only time is missing for, the longest.
fn pending(
    snapshot: &Snapshot,
    listed: &Listed<'_>,
    (policy, steps): (&PolicyFacts, &[Promotion]),
    version: &Version,
) -> Option<Held> {
    let latched = listed.get(policy.name.as_str())?.get(version)?.promoted_at.is_some();
    let held: Vec<_> = steps.iter().filter_map(|step| missing(snapshot, listed, step, version, latched)).collect();
    held.into_iter()
        .min_by_key(|held| (held.reason != HoldReason::PromotionBlocked, held.until.is_some(), Reverse(held.until)))
}

fn missing(
    snapshot: &Snapshot,
    listed: &Listed<'_>,
    step: &Promotion,
    version: &Version,
    latched: bool,
) -> Option<Held> {
    let first = &step.policy;
    let held = |why: String, until| Some(Held { reason: HoldReason::VersionHeld, why, until });
    let releases = listed.get(first.as_str());
    let failed = releases.and_then(|releases| releases.get(version)).map_or(0, |release| release.failed);
    if failed > 0 {
        let why = format!("version {version} is not promoted: it has failed on a node of policy {first}");
        return Some(blocked(why));
    }
    if latched {
        return None;
    }
    let Some(releases) = releases else {
        return Some(blocked(format!("version {version} waits for policy {first}, which does not exist")));
    };
    // What runs a newer version has come past this one.
    let run = releases.range(version.clone()..).filter_map(|(_, release)| release.run.as_ref());
    let Some((node, since)) = run.min_by_key(|(_, since)| *since) else {
        return held(format!("version {version} waits for a healthy node of policy {first} to run it"), None);
    };
    let promoted_at = since.checked_add(step.soak).ok();
    let why = |at| format!("version {version} is promoted at {at} if node {node} of policy {first} stays healthy");
    match promoted_at {
        Some(at) if at <= snapshot.now => None,
        Some(at) if *since >= snapshot.now => held(
            format!("version {version} is promoted once a node of policy {first} has run it for long enough"),
            Some(at),
        ),
        Some(at) => held(why(at), Some(at)),
        None => {
            let why = format!("version {version} is never promoted: policy {first} must run it for too long");
            Some(blocked(why))
        }
    }
}

/// Time alone does not help, and nobody else's update does.
const fn blocked(why: String) -> Held {
    Held { reason: HoldReason::PromotionBlocked, why, until: None }
}
