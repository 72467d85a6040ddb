//! The samples that say how a node is disrupted, with their waits cut short, watched at work.

use api::{DisruptionRecord, names};
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};

use crate::budgets::sample;
use crate::drains::PINNED;
use crate::{NEW, PATIENCE, fleet};

/// The sample with another text in one place.
pub(crate) fn shortened(name: &str, from: &str, to: &str) -> String {
    let text = sample(name);
    assert!(text.contains(from), "{name} has no {from}");
    text.replace(from, to)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Free,
    Excluded,
    Cordoned,
}

fn sight(node: &Node) -> Sight {
    let excluded = node.labels().contains_key(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL);
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    match (excluded, cordoned) {
        (_, true) => Sight::Cordoned,
        (true, false) => Sight::Excluded,
        (false, false) => Sight::Free,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_leaves_the_load_balancers_before_it_is_cordoned() {
    let (fleet, observer) = fleet(1).await;
    fleet.plane.apply(&shortened("load-balancers", "waitSeconds: 60", "waitSeconds: 3")).await.unwrap();
    let only = watcher::Config::default().fields("metadata.name=node-1");
    let nodes = watcher(fleet.node_objects(), only).applied_objects();
    let mut nodes = std::pin::pin!(nodes);
    fleet.publish(&NEW);
    let mut sights: Vec<(Sight, Node)> = Vec::new();
    let watching = async {
        while sights.len() < 3 {
            let node = nodes.try_next().await.unwrap().unwrap();
            if sights.last().is_none_or(|(last, _)| *last != sight(&node)) {
                sights.push((sight(&node), node));
            }
        }
    };
    tokio::time::timeout(PATIENCE, watching).await.unwrap();
    let desired: Vec<_> = sights.iter().map(|(sight, _)| *sight).collect();
    assert_eq!(desired, [Sight::Free, Sight::Excluded, Sight::Cordoned]);
    let record = DisruptionRecord::decode(sights[2].1.metadata.annotations.as_ref()).unwrap().unwrap();
    let waited = record.drain_began.unwrap().duration_since(record.began);
    assert!(waited.as_secs() >= 3, "{waited:?}");
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    let node = fleet.node_objects().get("node-1").await.unwrap();
    assert_eq!(sight(&node), Sight::Free);
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_may_force_does_so_when_its_time_is_up() {
    let (fleet, observer) = fleet(1).await;
    PINNED.run(&fleet.plane, PATIENCE).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(fleet.plane.client());
    let pinned = ListParams::default().labels("app=pinned");
    let first = pods.list(&pinned).await.unwrap().items[0].uid();
    fleet.plane.apply(&shortened("stubborn-workloads", "timeout: 15m", "timeout: 5s")).await.unwrap();
    fleet.publish(&NEW);
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    assert_eq!(fleet.boots()["node-1"], 1);
    let left = pods.list(&pinned).await.unwrap().items;
    assert!(left.iter().all(|pod| pod.uid() != first), "the pod was deleted");
    observer.assert_no_breach().await;
}
