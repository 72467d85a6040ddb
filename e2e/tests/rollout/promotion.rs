//! A few nodes first and the rest after them, as the sample has it, with its soak cut short.

use std::collections::BTreeMap;

use api::{BottlerocketShadow, State};
use e2e::fleet::{Fleet, FleetOptions};
use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};

use crate::disruption::shortened;
use crate::policies::held_for;
use crate::{NEW, PATIENCE, follow};

const SOAK: SignedDuration = SignedDuration::from_secs(5);

fn first_is_canary(number: usize) -> BTreeMap<String, String> {
    let ring = if number == 1 { "canary" } else { "rest" };
    BTreeMap::from([("node-restriction.kubernetes.io/ring".to_owned(), ring.to_owned())])
}

/// Watches until each node has been asked to stage the version; answers when each was.
async fn starts(fleet: &Fleet, count: usize) -> BTreeMap<String, Timestamp> {
    let events = watcher(fleet.shadows(), watcher::Config::default()).default_backoff().applied_objects();
    let mut events = std::pin::pin!(events);
    let mut starts = BTreeMap::new();
    let watching = async {
        while starts.len() < count {
            let shadow: BottlerocketShadow = events.try_next().await.unwrap().unwrap();
            if shadow.spec.state != State::Idle {
                let since = shadow.spec.state_transition_timestamp.as_deref().unwrap().parse().unwrap();
                starts.entry(shadow.name_any().trim_start_matches("brs-").to_owned()).or_insert(since);
            }
        }
    };
    tokio::time::timeout(PATIENCE, watching).await.unwrap();
    starts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_starts_only_after_the_canary_has_run_the_version_for_its_soak() {
    let labels = first_is_canary;
    let (fleet, observer) = follow(FleetOptions { nodes: 4, labels, ..FleetOptions::default() }).await;
    let policies = shortened("canary-then-rest", "soak: 24h", &format!("soak: {}s", SOAK.as_secs()));
    fleet.plane.apply(&policies.replace("\"10%\"", "\"100%\"")).await.unwrap();
    fleet.publish(&NEW);
    let (starts, ()) = tokio::join!(starts(&fleet, 4), held_for(&fleet, "VersionHeld", 3));
    fleet.updated(&NEW, 4, PATIENCE).await.unwrap();
    let status = fleet.policies().get("canary").await.unwrap().status.unwrap();
    let seen = status.versions.iter().find(|seen| seen.version == NEW.to_string()).unwrap();
    assert_eq!(seen.run_by.as_deref(), Some("node-1"));
    let since: Timestamp = seen.run_since.as_deref().unwrap().parse().unwrap();
    assert!(starts["node-1"] < since, "{starts:?}");
    let early: Vec<_> = starts.iter().filter(|(node, at)| *node != "node-1" && **at < since + SOAK).collect();
    assert!(early.is_empty(), "the canary ran it since {since}, started: {starts:?}");
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
}
