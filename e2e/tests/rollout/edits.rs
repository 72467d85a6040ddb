//! Policies and labels that change in the middle of a rollout.

use std::collections::BTreeMap;

use api::{State, names};
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Fleet, FleetOptions};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::drains::PINNED;
use crate::{NEW, PATIENCE, asked, fleet, follow, in_flight, policy, wait_in_flight};

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_edited_paused_resumed_deleted_and_made_again_in_the_middle_of_a_rollout() {
    let (fleet, observer) = fleet(6).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    wait_in_flight(&fleet, 1).await;
    fleet.edit_policy("default", json!({"maxConcurrentUpdates": 2})).await.unwrap();
    wait_in_flight(&fleet, 2).await;
    fleet.edit_policy("default", json!({"paused": true})).await.unwrap();
    // What has no approval keeps its place and its image; what is disrupted finishes.
    nothing_disrupted(&fleet).await;
    let rebooted = fleet.boots().values().sum::<usize>();
    assert!(rebooted <= 2, "what was in flight at the pause may have finished, nothing else: {:?}", fleet.boots());
    fleet.edit_policy("default", json!({"paused": false})).await.unwrap();
    wait_in_flight(&fleet, 2).await;
    fleet.plane.kubectl(&["delete", "bup/default"]).await.unwrap();
    wait_in_flight(&fleet, 0).await;
    let rebooted_then = fleet.boots().values().sum::<usize>();
    assert!(rebooted_then <= rebooted + 2, "without a policy only what was disrupted finishes: {:?}", fleet.boots());
    fleet.plane.apply(&policy(3)).await.unwrap();
    fleet.updated(&NEW, 6, PATIENCE).await.unwrap();
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    let told = reasons(&fleet).await;
    assert!(told.contains_key("UpdateStarted") && told.contains_key("DisruptionAllowed"), "{told:?}");
    assert_eq!(told["Updated"], 6, "{told:?}");
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_policies_roll_their_halves_at_their_own_speeds() {
    let (fleet, observer) = follow(FleetOptions { nodes: 6, labels: pools, ..FleetOptions::default() }).await;
    fleet.plane.apply(&pool_policy("fast", 3)).await.unwrap();
    fleet.plane.apply(&pool_policy("slow", 1)).await.unwrap();
    fleet.publish(&NEW);
    fleet.updated(&NEW, 6, PATIENCE).await.unwrap();
    observer.settle().await;
    let peaks = observer.report().peaks.by_policy;
    assert_eq!(peaks["fast"].in_flight, 3, "{peaks:?}");
    assert_eq!(peaks["slow"].in_flight, 1, "{peaks:?}");
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_flight_that_a_selector_lets_go_finishes_and_counts_until_then() {
    let (fleet, observer) = follow(FleetOptions { nodes: 3, labels: first_apart, ..FleetOptions::default() }).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    eventually("node-1 to be disrupted", PATIENCE, async || {
        let node = fleet.node_objects().get("node-1").await?;
        Ok(node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION).then_some(()))
    })
    .await
    .unwrap();
    fleet.edit_policy("default", json!({"nodeSelector": {"matchLabels": {"pool": "rest"}}})).await.unwrap();
    fleet.updated(&NEW, 3, PATIENCE).await.unwrap();
    assert_eq!(fleet.boots()["node-1"], 1, "its disruption had begun, so it finished");
    observer.settle().await;
    assert_eq!(observer.report().peaks.overall.in_flight, 1, "it counted for the policy that it began under");
    // Later versions are not for it any more.
    let later = semver::Version::new(1, 52, 0);
    fleet.publish(&later);
    fleet.updated(&later, 2, PATIENCE).await.unwrap();
    assert_eq!(in_flight(&fleet).await, 0);
    assert_eq!(fleet.boots()["node-1"], 1, "no policy, no update");
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_node_that_loses_its_interface_label_is_restored() {
    let (fleet, observer) = fleet(1).await;
    PINNED.run(&fleet.plane, PATIENCE).await.unwrap();
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    fleet.says("node-1", "default/pinned", PATIENCE).await.unwrap();
    let unlabel = format!("{}-", names::UPDATER_INTERFACE_LABEL);
    fleet.plane.kubectl(&["label", "node", "node-1", &unlabel]).await.unwrap();
    eventually("node-1 to be restored", PATIENCE, async || {
        let node: Node = fleet.node_objects().get("node-1").await?;
        let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        Ok((!cordoned && !node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION)).then_some(()))
    })
    .await
    .unwrap();
    eventually("its shadow to be removed", PATIENCE, async || {
        let shadows = fleet.shadows().list(&ListParams::default()).await?;
        Ok(shadows.items.is_empty().then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(fleet.boots()["node-1"], 0);
    observer.assert_no_breach().await;
}

/// Waits until no node has an approval or a record.
async fn nothing_disrupted(fleet: &Fleet) {
    eventually("no node to be disrupted", PATIENCE, async || {
        let nodes = fleet.node_objects().list(&ListParams::default()).await?;
        let recorded =
            nodes.items.iter().any(|node| node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION));
        let approved = asked(fleet).await.values().any(|state| *state == State::RebootedIntoUpdate);
        Ok((!recorded && !approved).then_some(()))
    })
    .await
    .unwrap();
}

/// Every other node is of the pool `fast`, the others of `slow`.
fn pools(number: usize) -> BTreeMap<String, String> {
    BTreeMap::from([("pool".to_owned(), if number.is_multiple_of(2) { "fast" } else { "slow" }.to_owned())])
}

/// The first node is of the pool `first`, the others of `rest`.
fn first_apart(number: usize) -> BTreeMap<String, String> {
    BTreeMap::from([("pool".to_owned(), if number == 1 { "first" } else { "rest" }.to_owned())])
}

fn pool_policy(pool: &str, limit: u32) -> String {
    format!(
        "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {{name: {pool}}}
spec: {{nodeSelector: {{matchLabels: {{pool: {pool}}}}}, maxConcurrentUpdates: {limit}}}
"
    )
}

/// How often each reason was told in an Event of the controller.
async fn reasons(fleet: &Fleet) -> BTreeMap<String, usize> {
    let events: Api<Event> = Api::namespaced(fleet.plane.client(), "default");
    let mut reasons = BTreeMap::new();
    for event in events.list(&ListParams::default()).await.unwrap() {
        if event.reporting_controller.as_deref() == Some(names::CONTROLLER_FIELD_MANAGER) {
            *reasons.entry(event.reason.unwrap_or_default()).or_default() += 1;
        }
    }
    reasons
}
