//! The versions that are listed: since when, who runs them, and who has failed on them.
//!
//! A version that a living node offers or runs is not forgotten as long as there is room: a node adds one version at a time, and
//! where nodes name more than there is room for, each has an equal share (see [`shares`]). A few that nobody offers any more are
//! kept, because an offer may come back.

use std::collections::{BTreeMap, BTreeSet};

use api::policy::{MAX_LISTED_VERSIONS, VersionSeen};
use api::timestamp;
use jiff::Timestamp;
use semver::Version;

use super::Release;
use crate::plan::halt::Failures;
use crate::plan::node_view::NodeView;
use crate::plan::phase::Phase;
use crate::plan::view::View;
use crate::snapshot::Snapshot;

mod shares;

/// Versions that nobody offers or runs any more and that are kept all the same, newest first.
const KEPT: usize = 64;

type Listed<'a> = BTreeMap<&'a str, BTreeMap<Version, Release>>;

pub(super) fn seen<'a>(snapshot: &'a Snapshot, view: &View<'a>, failures: &Failures<'a>) -> Listed<'a> {
    let stored: BTreeMap<&str, _> =
        snapshot.policies.values().map(|policy| (policy.name.as_str(), stored(policy, snapshot.now))).collect();
    let first_seen = |version: &Version| {
        let times = stored.values().filter_map(|releases: &BTreeMap<Version, Release>| releases.get(version));
        times.map(|release| release.first_seen).min().unwrap_or(snapshot.now)
    };
    let alive = alive(view);
    let mut listed = Listed::new();
    for (policy, known) in &stored {
        let alive = alive.get(policy);
        let listable = alive.map(shares::listable).unwrap_or_default();
        let living = |version: &Version| listable.contains(version);
        let named = |version: &Version| alive.is_some_and(|alive| alive.versions.contains(version));
        let mut releases: BTreeMap<_, _> = known.iter().filter(|(version, _)| living(version)).map(owned).collect();
        releases.extend(known.iter().rev().filter(|(version, _)| !named(version)).take(KEPT).map(owned));
        for (list, _) in alive.iter().flat_map(|alive| &alive.lists) {
            let added = list.iter().filter(|version| living(version) && !releases.contains_key(**version)).max();
            if let Some(version) = added.filter(|_| releases.len() < MAX_LISTED_VERSIONS) {
                releases.insert((*version).clone(), fresh(first_seen(version)));
            }
        }
        for (version, release) in &mut releases {
            release.first_seen = first_seen(version).min(release.first_seen);
            release.failed = failures.of(policy, version);
            release.nodes = alive.and_then(|alive| alive.nodes.get(version)).copied().unwrap_or_default();
            release.run = alive.and_then(|alive| longest_run(alive, known, version, snapshot.now));
        }
        listed.insert(policy, releases);
    }
    listed
}

fn owned((version, release): (&Version, &Release)) -> (Version, Release) {
    (version.clone(), release.clone())
}

const fn fresh(first_seen: Timestamp) -> Release {
    Release { first_seen, eligible_at: None, promoted_at: None, run: None, nodes: 0, failed: 0, pending: None }
}

/// What a status says; entries that cannot be read, or that lie in the future, are not there, nor are promotions under another rule
/// than the one there is now.
fn stored(policy: &crate::snapshot::PolicyFacts, now: Timestamp) -> BTreeMap<Version, Release> {
    let past = |text: &Option<String>| {
        text.as_deref().and_then(|text| timestamp::parse(text).ok()).filter(|time| *time <= now)
    };
    let latches = policy.promotions_stand();
    let entry = |seen: &VersionSeen| {
        let run = seen.run_by.clone().zip(past(&seen.run_since));
        let promoted_at = past(&seen.promoted_at).filter(|_| latches);
        let release = Release { promoted_at, run, ..fresh(past(&seen.first_seen)?) };
        Some((Version::parse(&seen.version).ok()?, release))
    };
    policy.status.iter().flat_map(|status| &status.versions).filter_map(entry).collect()
}

/// What the nodes of one policy offer and run.
#[derive(Debug, Default)]
pub(super) struct Alive<'a> {
    versions: BTreeSet<&'a Version>,
    /// How many run each version.
    nodes: BTreeMap<&'a Version, usize>,
    /// What those run that are healthy, by the names of the nodes, which are in order.
    healthy: Vec<(&'a str, &'a Version)>,
    /// The first of those that run the newest version.
    newest: Option<(&'a str, &'a Version)>,
    /// The different lists there are, with the number of nodes that name each: what they run, what they are asked for and would take,
    /// and what else they are offered.
    lists: Vec<(Vec<&'a Version>, usize)>,
}

fn alive<'a>(view: &View<'a>) -> BTreeMap<&'a str, Alive<'a>> {
    let mut alive: BTreeMap<&str, Alive<'a>> = BTreeMap::new();
    for (offer, nodes) in view.offers.iter() {
        let Some(policy) = offer.policy else { continue };
        let list: Vec<_> =
            [offer.current].into_iter().chain(offer.desired).chain([offer.target]).chain(offer.available).collect();
        let alive = alive.entry(policy).or_default();
        *alive.nodes.entry(offer.current).or_default() += nodes;
        alive.versions.extend(&list);
        alive.lists.push((list, nodes));
    }
    for node in view.nodes.iter().filter(|node| is_healthy(node)) {
        let offer = node.offer.and_then(|offer| view.offers.get(offer));
        let Some((policy, current)) = offer.and_then(|offer| Some((offer.policy?, offer.current))) else { continue };
        let alive = alive.entry(policy).or_default();
        alive.healthy.push((node.name, current));
        if alive.newest.is_none_or(|(_, newest)| newest < current) {
            alive.newest = Some((node.name, current));
        }
    }
    alive
}

/// The healthy node that has run a version, or a newer one, for longest, and since when. One that does not any more begins anew
/// when it does again.
fn longest_run(
    Alive { healthy, newest, .. }: &Alive<'_>,
    stored: &BTreeMap<Version, Release>,
    version: &Version,
    now: Timestamp,
) -> Option<(String, Timestamp)> {
    let known = |node: &str| healthy.binary_search_by_key(&node, |(node, _)| node).ok().map(|at| healthy[at].1);
    let runs = |node: &str| known(node).is_some_and(|runs| runs >= version);
    let stored = stored.range(version..).filter_map(|(_, release)| release.run.as_ref());
    let longest = stored.filter(|(node, _)| runs(node)).min_by_key(|(_, since)| *since).cloned();
    longest.or_else(|| newest.filter(|(_, runs)| *runs >= version).map(|(node, _)| (node.to_owned(), now)))
}

/// At rest, restored, or on its way to another version but not disrupted for it yet; Ready and not failed.
fn is_healthy(node: &NodeView<'_>) -> bool {
    let runs = match node.phase {
        Phase::Resting | Phase::Restored => true,
        Phase::Staging | Phase::Staged | Phase::Approved => !node.has_record,
        _ => false,
    };
    runs && node.ready && node.failed.is_none()
}
