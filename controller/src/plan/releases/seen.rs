//! The versions that are listed: since when, who runs them, and who has failed on them.
//!
//! A version that a living node offers or runs is never forgotten. A node adds one version at a time, so that no agent can fill
//! the list; a few that nobody offers any more are kept, because an offer may come back.

use std::collections::{BTreeMap, BTreeSet};

use api::{policy::MAX_LISTED_VERSIONS, policy::VersionSeen, timestamp};
use jiff::Timestamp;
use semver::Version;

use super::Release;
use crate::{
    plan::{phase::Phase, situation::Situation},
    snapshot::Snapshot,
};

/// Versions that nobody offers or runs any more and that are kept all the same, newest first.
const KEPT: usize = 64;

type Listed<'a> = BTreeMap<&'a str, BTreeMap<Version, Release>>;

pub(super) fn seen<'a>(snapshot: &'a Snapshot, situations: &[Situation<'a>]) -> Listed<'a> {
    let stored: BTreeMap<&str, _> =
        snapshot.policies.values().map(|policy| (policy.name.as_str(), stored(policy, snapshot.now))).collect();
    let first_seen = |version: &Version| {
        let times = stored.values().filter_map(|releases: &BTreeMap<Version, Release>| releases.get(version));
        times.map(|release| release.first_seen).min().unwrap_or(snapshot.now)
    };
    let alive = alive(situations);
    let mut listed = Listed::new();
    for (policy, known) in &stored {
        let alive = alive.get(policy);
        let living = |version: &Version| alive.is_some_and(|alive| alive.versions.contains(version));
        let mut releases: BTreeMap<_, _> = known.iter().filter(|(version, _)| living(version)).map(owned).collect();
        releases.extend(known.iter().rev().filter(|(version, _)| !living(version)).take(KEPT).map(owned));
        for list in alive.iter().flat_map(|alive| &alive.lists) {
            let added = list.iter().filter(|version| !releases.contains_key(**version)).max();
            if let Some(version) = added.filter(|_| releases.len() < MAX_LISTED_VERSIONS) {
                releases.insert((*version).clone(), fresh(first_seen(version)));
            }
        }
        for (version, release) in &mut releases {
            release.first_seen = first_seen(version).min(release.first_seen);
        }
        listed.insert(policy, releases);
    }
    count(situations, &mut listed);
    for (policy, releases) in &mut listed {
        run(situations, (policy, &stored[policy]), releases, snapshot.now);
    }
    listed
}

fn owned((version, release): (&Version, &Release)) -> (Version, Release) {
    (version.clone(), Release { nodes: 0, failed: 0, ..release.clone() })
}

const fn fresh(first_seen: Timestamp) -> Release {
    Release { first_seen, eligible_at: None, promoted_at: None, run: None, nodes: 0, failed: 0, pending: None }
}

/// What a status says; entries that cannot be read, or that lie in the future, are not there.
fn stored(policy: &crate::snapshot::PolicyFacts, now: Timestamp) -> BTreeMap<Version, Release> {
    let past = |text: &Option<String>| {
        text.as_deref().and_then(|text| timestamp::parse(text).ok()).filter(|time| *time <= now)
    };
    let entry = |seen: &VersionSeen| {
        let run = seen.run_by.clone().zip(past(&seen.run_since));
        let release = Release { promoted_at: past(&seen.promoted_at), run, ..fresh(past(&seen.first_seen)?) };
        Some((Version::parse(&seen.version).ok()?, release))
    };
    policy.status.iter().flat_map(|status| &status.versions).filter_map(entry).collect()
}

/// What the nodes of one policy offer and run.
#[derive(Debug, Default)]
struct Alive<'a> {
    versions: BTreeSet<&'a Version>,
    /// The different lists there are.
    lists: Vec<Vec<&'a Version>>,
}

fn alive<'a>(situations: &[Situation<'a>]) -> BTreeMap<&'a str, Alive<'a>> {
    let mut alive: BTreeMap<&str, Alive<'a>> = BTreeMap::new();
    for situation in situations {
        let (Some(policy), Some(report)) = (situation.owner.policy(), situation.report()) else { continue };
        let alive = alive.entry(&policy.name).or_default();
        let offered = report.available_versions.iter();
        let known = [&report.target_version, &report.current_version].into_iter().chain(situation.ordered_version());
        let list: Vec<_> = offered.chain(known).collect();
        // Most nodes say what the one before said.
        if alive.lists.last() != Some(&list) {
            alive.versions.extend(&list);
            alive.lists.push(list);
        }
    }
    alive
}

fn count(situations: &[Situation<'_>], listed: &mut Listed<'_>) {
    for situation in situations {
        let mut release = |policy: &str, version: &Version, note: fn(&mut Release)| {
            if let Some(release) = listed.get_mut(policy).and_then(|releases| releases.get_mut(version)) {
                note(release);
            }
        };
        if let (Some(policy), Some(report)) = (situation.owner.policy(), situation.report()) {
            release(&policy.name, &report.current_version, |release| release.nodes += 1);
        }
        if let Some(failed) = &situation.failed {
            for policy in situation.counts_for() {
                release(&policy.name, &failed.version, |release| release.failed += 1);
            }
        }
    }
}

/// Finds for each version the node that has run it, or a newer one, healthy, for longest. One that does not any more begins
/// anew when it does again.
fn run(
    situations: &[Situation<'_>],
    (policy, stored): (&str, &BTreeMap<Version, Release>),
    releases: &mut BTreeMap<Version, Release>,
    now: Timestamp,
) {
    let its = |situation: &&Situation<'_>| situation.owner.policy().is_some_and(|owner| owner.name == policy);
    let healthy = situations.iter().filter(its).filter(|situation| is_healthy(situation));
    let running: BTreeMap<&str, &Version> = healthy
        .filter_map(|situation| Some((situation.node.name.as_str(), &situation.report()?.current_version)))
        .collect();
    let since = |node: &str, version: &Version| {
        let runs = running.get(node).is_some_and(|runs| *runs >= version);
        let known = stored.range(version.clone()..).filter_map(|(_, release)| release.run.as_ref());
        known.filter(|(by, _)| runs && by == node).map(|(_, since)| *since).min()
    };
    let newest = running.iter().max_by_key(|(node, version)| (**version, std::cmp::Reverse(**node)));
    for (version, release) in releases {
        let known = stored.range(version.clone()..).filter_map(|(_, release)| release.run.as_ref());
        let longest =
            known.filter_map(|(node, _)| Some((node.clone(), since(node, version)?))).min_by_key(|(_, at)| *at);
        let begins = newest.filter(|(_, runs)| **runs >= version).map(|(node, _)| ((*node).to_owned(), now));
        release.run = longest.or(begins);
    }
}

/// At rest, or given back, Ready and not failed.
fn is_healthy(situation: &Situation<'_>) -> bool {
    let rests = matches!(situation.phase, Phase::Resting | Phase::GivenBack);
    rests && situation.node.ready && situation.failed.is_none()
}
