//! The budgets of the samples, applied as they are and watched at work: every change of every shadow is looked at.

use std::collections::{BTreeMap, BTreeSet};

use api::{BottlerocketShadow, State};
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Fleet, FleetOptions};
use futures::TryStreamExt as _;
use kube::ResourceExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};

use crate::{NEW, PATIENCE, follow, in_flight};

/// The text of a sample.
pub(crate) fn sample(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(format!("{name}.yaml"));
    std::fs::read_to_string(path).unwrap()
}

/// Nodes that are being updated, with the policy each is updated under.
type InFlight = BTreeMap<String, String>;

/// By what it is asked for. A report may still say otherwise for a moment when the place is free already: an agent that is not
/// Ready yet after its boot counts as silent.
fn moves(shadow: &BottlerocketShadow) -> bool {
    shadow.spec.state != State::Idle
}

/// Publishes a version and shows `look` who is in flight after every change, until `count` nodes run it.
async fn roll(fleet: &Fleet, count: usize, mut look: impl FnMut(&InFlight)) {
    let events = watcher(fleet.shadows(), watcher::Config::default()).applied_objects();
    let mut events = std::pin::pin!(events);
    let mut shadows: BTreeMap<String, BottlerocketShadow> = BTreeMap::new();
    fleet.publish(&NEW);
    let rolling = async {
        loop {
            let shadow = events.try_next().await.unwrap().unwrap();
            let node = shadow.name_any().trim_start_matches("brs-").to_owned();
            shadows.insert(node, shadow);
            let moving = shadows.iter().filter(|(_, shadow)| moves(shadow));
            look(
                &moving.map(|(node, shadow)| (node.clone(), shadow.spec.policy.clone().unwrap_or_default())).collect(),
            );
            let runs = |shadow: &&BottlerocketShadow| {
                shadow.status.as_ref().is_some_and(|status| status.current_version == NEW.to_string())
            };
            if shadows.values().filter(runs).filter(|shadow| !moves(shadow)).count() == count {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, rolling).await.unwrap();
    fleet.updated(&NEW, count, PATIENCE).await.unwrap();
}

fn zones(number: usize) -> BTreeMap<String, String> {
    let zone = if number <= 2 { "a" } else { "b" };
    BTreeMap::from([("topology.kubernetes.io/zone".to_owned(), zone.to_owned())])
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_are_updated_one_by_one() {
    let (fleet, observer) = follow(FleetOptions { nodes: 4, labels: zones, ..FleetOptions::default() }).await;
    fleet.plane.apply(&sample("zones-one-by-one")).await.unwrap();
    let mut peak = 0;
    roll(&fleet, 4, |moving| {
        let zone = |node: &String| if ["node-1", "node-2"].contains(&node.as_str()) { "a" } else { "b" };
        let zones: BTreeSet<_> = moving.keys().map(zone).collect();
        assert!(zones.len() <= 1, "{moving:?}");
        peak = peak.max(moving.len());
    })
    .await;
    assert_eq!(peak, 2, "two of a zone at a time");
    observer.assert_no_breach().await;
}

fn pools(number: usize) -> BTreeMap<String, String> {
    let pool = match number {
        1..=4 => "batch",
        5 => "postgres",
        _ => "web",
    };
    BTreeMap::from([("node-restriction.kubernetes.io/pool".to_owned(), pool.to_owned())])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_the_highest_priority_applies_with_a_percentage_of_its_own_nodes() {
    let (fleet, observer) = follow(FleetOptions { nodes: 6, labels: pools, ..FleetOptions::default() }).await;
    fleet.plane.apply(&sample("two-pools")).await.unwrap();
    let mut peaks: BTreeMap<String, usize> = BTreeMap::new();
    roll(&fleet, 6, |moving| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (node, policy) in moving {
            let expected = match node.as_str() {
                "node-5" => "databases",
                "node-6" => "rest",
                _ => "batch",
            };
            assert_eq!(policy, expected, "{node}");
            *counts.entry(policy).or_default() += 1;
        }
        for (policy, count) in counts {
            let peak = peaks.entry(policy.to_owned()).or_default();
            *peak = count.max(*peak);
        }
    })
    .await;
    let expected = [("batch", 2), ("databases", 1), ("rest", 1)];
    assert_eq!(peaks, BTreeMap::from(expected.map(|(policy, peak)| (policy.to_owned(), peak))));
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_nodes_of_whatever_kind_count_against_the_capacity_that_is_kept() {
    let (fleet, observer) = follow(FleetOptions { nodes: 5, ..FleetOptions::default() }).await;
    // A fifth of five nodes is down already.
    fleet.plane.kubectl(["cordon", "node-1"]).await.unwrap();
    fleet.plane.apply(&sample("keep-capacity")).await.unwrap();
    fleet.publish(&NEW);
    eventually("the others to be held for it", PATIENCE, async || {
        let shadows = fleet.shadows().list(&kube::api::ListParams::default()).await?;
        let statuses = shadows.items.iter().filter_map(|shadow| shadow.status.as_ref());
        let held = statuses.filter_map(|status| status.conditions.as_ref()).flatten();
        Ok((held.filter(|condition| condition.reason == "TooManyUnavailable").count() == 4).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(in_flight(&fleet).await, 0);
    fleet.plane.kubectl(["uncordon", "node-1"]).await.unwrap();
    let mut peak = 0;
    roll(&fleet, 5, |moving| peak = peak.max(moving.len())).await;
    assert_eq!(peak, 1, "three may be in flight, but only one unavailable");
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_all_nodes_are_in_flight_at_once() {
    let (fleet, observer) = follow(FleetOptions { nodes: 4, ..FleetOptions::default() }).await;
    fleet.plane.apply(&sample("everything-at-once")).await.unwrap();
    let mut peak = 0;
    roll(&fleet, 4, |moving| peak = peak.max(moving.len())).await;
    assert_eq!(peak, 4);
    observer.assert_no_breach().await;
}
