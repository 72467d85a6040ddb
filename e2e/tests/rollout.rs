//! What a platform engineer does with the operator, on a real control plane with real programs.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail as tests do")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use api::{State, names};
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Fleet, FleetOptions};
use e2e::observer::Observer;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use semver::Version;
use serde_json::json;

/// Far longer than anything here takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);
const NEW: Version = Version::new(1, 51, 0);

async fn fleet(nodes: usize) -> (Fleet, Observer) {
    let fleet = Fleet::start(FleetOptions { nodes, ..FleetOptions::default() }).await.unwrap();
    let observer = Observer::start(fleet.plane.client(), names::DEFAULT_NAMESPACE);
    fleet.hosts().for_each(|host| observer.follow(host));
    fleet.reported(PATIENCE).await.unwrap();
    (fleet, observer)
}

fn policy(limit: u32) -> String {
    format!(
        "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {{name: default}}
spec: {{nodeSelector: {{}}, maxConcurrentUpdates: {limit}}}
"
    )
}

/// The state each node is asked for.
async fn asked(fleet: &Fleet) -> BTreeMap<String, State> {
    let shadows = fleet.shadows().list(&ListParams::default()).await.unwrap();
    shadows.items.iter().map(|shadow| (shadow.name_any(), shadow.spec.state)).collect()
}

/// How many nodes are asked for anything but Idle.
async fn in_flight(fleet: &Fleet) -> usize {
    asked(fleet).await.values().filter(|state| **state != State::Idle).count()
}

/// Waits until `count` nodes are asked for anything but Idle.
async fn wait_in_flight(fleet: &Fleet, count: usize) {
    let what = format!("{count} nodes in flight");
    eventually(&what, PATIENCE, async || Ok((in_flight(fleet).await == count).then_some(()))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_reaches_the_new_version_two_nodes_at_a_time() {
    let (fleet, observer) = fleet(4).await;
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet.publish(&NEW);
    fleet.updated(&NEW, 4, PATIENCE).await.unwrap();
    fleet.plane.kubectl(&["wait", "--for=condition=UpToDate", "--timeout=60s", "bup/default"]).await.unwrap();
    observer.settle().await;
    assert_eq!(observer.report().peaks.overall.in_flight, 2, "both places were used, and no third");
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_limit_acts_within_two_seconds_and_without_a_restart() {
    let (fleet, observer) = fleet(4).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    wait_in_flight(&fleet, 1).await;
    let pid = fleet.controller.pid();
    let edited = Instant::now();
    fleet.edit_policy("default", json!({"maxConcurrentUpdates": 3})).await.unwrap();
    wait_in_flight(&fleet, 3).await;
    let acted = edited.elapsed();
    println!("from the edit to the third node in flight: {acted:?}");
    assert!(acted < Duration::from_secs(2), "{acted:?}");
    fleet.updated(&NEW, 4, PATIENCE).await.unwrap();
    assert_eq!(fleet.controller.pid(), pid);
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_nothing_is_updated() {
    let (fleet, observer) = fleet(2).await;
    fleet.publish(&NEW);
    eventually("both nodes to be held for want of a policy", PATIENCE, async || {
        let shadows = fleet.shadows().list(&ListParams::default()).await?;
        let statuses = shadows.items.iter().filter_map(|shadow| shadow.status.as_ref());
        let held = statuses.filter_map(|status| status.conditions.as_ref()).flatten();
        Ok((held.filter(|condition| condition.reason == "NoPolicy").count() == 2).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(in_flight(&fleet).await, 0);
    assert!(fleet.boots().values().all(|boots| *boots == 0));
    // The same cluster with a policy: what was missing is the policy.
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_lets_what_is_disrupted_finish_and_starts_nothing() {
    let (fleet, observer) = fleet(3).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    let marked = eventually("the first node to be disrupted", PATIENCE, async || {
        let nodes = fleet.node_objects().list(&ListParams::default()).await?;
        let marked =
            |node: &&k8s_openapi::api::core::v1::Node| node.annotations().contains_key(names::MARKS_ANNOTATION);
        Ok(nodes.items.iter().find(marked).map(ResourceExt::name_any))
    })
    .await
    .unwrap();
    fleet.edit_policy("default", json!({"paused": true})).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    assert_eq!(fleet.boots()[marked.as_str()], 1);
    eventually("the other nodes to be held by the pause", PATIENCE, async || {
        let policy = fleet.policies().get("default").await?;
        let status = policy.status.unwrap_or_default();
        let nodes = status.nodes.unwrap_or_default();
        Ok((nodes.held == 2 && nodes.updated == 1 && status.next.len() == 1).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(in_flight(&fleet).await, 0);
    fleet.edit_policy("default", json!({"paused": false})).await.unwrap();
    fleet.updated(&NEW, 3, PATIENCE).await.unwrap();
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_without_room_holds_the_drain_until_it_has_room() {
    let (fleet, observer) = fleet(1).await;
    fleet.plane.apply(WORKLOAD_WITHOUT_ROOM).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(fleet.plane.client());
    eventually("the pod to run", PATIENCE, async || {
        let pods = pods.list(&ListParams::default().labels("app=pinned")).await?;
        let budget = fleet.plane.kubectl(&["get", "pdb", "pinned", "-o", "jsonpath={.status.currentHealthy}"]).await?;
        Ok((pods.items.len() == 1 && budget == "1").then_some(()))
    })
    .await
    .unwrap();
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    let message = eventually("the drain to say which budget blocks it", PATIENCE, async || {
        let message = fleet.shadow("node-1").await?.status.and_then(|status| status.message).unwrap_or_default();
        Ok(message.contains("default/pinned").then_some(message))
    })
    .await
    .unwrap();
    println!("the shadow says: {message}");
    assert_eq!(fleet.boots()["node-1"], 0, "no reboot before the drain has ended");
    let room = Patch::Merge(json!({"spec": {"maxUnavailable": 1}}));
    let budgets: Api<k8s_openapi::api::policy::v1::PodDisruptionBudget> = Api::default_namespaced(fleet.plane.client());
    budgets.patch("pinned", &PatchParams::default(), &room).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    assert_eq!(fleet.boots()["node-1"], 1);
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_an_administrator_cordoned_is_left_alone_and_stays_cordoned() {
    let (fleet, observer) = fleet(2).await;
    fleet.plane.kubectl(&["cordon", "node-1"]).await.unwrap();
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet.publish(&NEW);
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    eventually("node-1 to be held", PATIENCE, async || {
        let policy = fleet.policies().get("default").await?;
        let nodes = policy.status.unwrap_or_default().nodes.unwrap_or_default();
        Ok((nodes.held == 1 && nodes.updated == 1).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(fleet.boots()["node-1"], 0);
    let node = fleet.node_objects().get("node-1").await.unwrap();
    assert_eq!(node.spec.and_then(|spec| spec.unschedulable), Some(true));
    // Once it is uncordoned it is updated like any other.
    fleet.plane.kubectl(&["uncordon", "node-1"]).await.unwrap();
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_program_may_be_killed_in_the_middle_of_a_rollout() {
    let (fleet, observer) = fleet(3).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    wait_in_flight(&fleet, 1).await;
    fleet.controller.restart().unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    wait_in_flight(&fleet, 1).await;
    fleet.apiserver.restart().unwrap();
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    wait_in_flight(&fleet, 1).await;
    // The kubelet starts it again.
    let busy = asked(&fleet).await.into_iter().find(|(_, state)| *state != State::Idle).unwrap().0;
    fleet.agent(busy.strip_prefix("brs-").unwrap()).kill().unwrap();
    fleet.updated(&NEW, 3, PATIENCE).await.unwrap();
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
}

/// A pod that may run on the one node only, and a budget that never lets it go.
const WORKLOAD_WITHOUT_ROOM: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: pinned, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: pinned}}
  template:
    metadata: {labels: {app: pinned}}
    spec:
      containers: [{name: pinned, image: example.invalid/pinned}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: pinned, namespace: default}
spec:
  maxUnavailable: 0
  selector: {matchLabels: {app: pinned}}
";
