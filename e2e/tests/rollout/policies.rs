//! What an edit of a policy does, and what its absence.

use std::time::{Duration, Instant};

use api::names;
use e2e::controlplane::wait::eventually;
use e2e::fleet::Fleet;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::{NEW, PATIENCE, fleet, in_flight, policy, wait_in_flight};

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
    held_for(&fleet, "NoPolicy", 2).await;
    assert_eq!(in_flight(&fleet).await, 0);
    assert!(fleet.boots().values().all(|boots| *boots == 0));
    // A policy that cannot be read in every field is no policy to follow. The webhook lets it pass because it is paused.
    fleet.plane.apply(POLICY_OF_NOWHERE).await.unwrap();
    fleet.plane.kubectl(&["wait", "--for=condition=Accepted=false", "--timeout=60s", "bup/default"]).await.unwrap();
    held_for(&fleet, "PolicyNotAccepted", 2).await;
    assert_eq!(in_flight(&fleet).await, 0);
    // The same cluster with a policy: what was missing is the policy.
    fleet.plane.kubectl(&["delete", "bup/default"]).await.unwrap();
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_lets_what_is_disrupted_finish_and_starts_nothing() {
    let (fleet, observer) = fleet(3).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    let first = eventually("the first node to be disrupted", PATIENCE, async || {
        let nodes = fleet.node_objects().list(&ListParams::default()).await?;
        let recorded = |node: &&Node| node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION);
        Ok(nodes.items.iter().find(recorded).map(ResourceExt::name_any))
    })
    .await
    .unwrap();
    fleet.edit_policy("default", json!({"paused": true})).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    assert_eq!(fleet.boots()[first.as_str()], 1);
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
async fn a_policy_that_planning_did_not_come_to_an_end_over_is_passed_over_until_it_is_edited() {
    let (fleet, observer) = fleet(3).await;
    let first = fleet.node_objects().list(&ListParams::default()).await.unwrap().items.remove(0).name_any();
    fleet.plane.kubectl(&["label", "node", &first, "pool=blue"]).await.unwrap();
    fleet.plane.apply(BLUE).await.unwrap();
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet
        .plane
        .kubectl(&["wait", "--for=condition=Accepted", "--timeout=60s", "bup/blue", "bup/default"])
        .await
        .unwrap();
    // As a leader leaves it that could not plan any more. This one has just planned it, and takes the verdict from the status all the same.
    let accepted = async || {
        let blue = fleet.policies().get("blue").await?;
        let conditions = blue.status.map(|status| status.conditions).unwrap_or_default();
        anyhow::Ok(conditions.into_iter().find(|condition| condition.type_ == "Accepted"))
    };
    let mut verdict = accepted().await.unwrap().unwrap();
    verdict.status = "False".to_owned();
    verdict.reason = "PlanningDeadlineExceeded".to_owned();
    let status = json!({"status": {"conditions": [verdict]}});
    fleet.policies().patch_status("blue", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    fleet.publish(&NEW);
    held_for(&fleet, "PolicyNotAccepted", 1).await;
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    assert_eq!(fleet.boots()[first.as_str()], 0, "its node does not fall to the other policy");
    let kept = accepted().await.unwrap().unwrap();
    assert_eq!((kept.status.as_str(), kept.reason.as_str()), ("False", "PlanningDeadlineExceeded"));
    assert!(kept.message.contains("edit its spec"), "{}", kept.message);
    fleet.edit_policy("blue", json!({"priority": 2})).await.unwrap();
    fleet.updated(&NEW, 3, PATIENCE).await.unwrap();
    assert_eq!(accepted().await.unwrap().unwrap().status, "True");
    observer.assert_no_breach().await;
}

/// Waits until `count` shadows say that their node is held for `reason`.
pub(crate) async fn held_for(fleet: &Fleet, reason: &str, count: usize) {
    eventually(&format!("{count} nodes to be held: {reason}"), PATIENCE, async || {
        let shadows = fleet.shadows().list(&ListParams::default()).await?;
        let statuses = shadows.items.iter().filter_map(|shadow| shadow.status.as_ref());
        let held = statuses.filter_map(|status| status.conditions.as_ref()).flatten();
        Ok((held.filter(|condition| condition.reason == reason).count() == count).then_some(()))
    })
    .await
    .unwrap();
}

const BLUE: &str = "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {name: blue}
spec: {priority: 1, nodeSelector: {matchLabels: {pool: blue}}}
";

const POLICY_OF_NOWHERE: &str = "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {name: default}
spec: {paused: true, nodeSelector: {}, schedule: {timeZone: Mars/Base}}
";
