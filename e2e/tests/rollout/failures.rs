//! Versions that do not come up, nodes that are not healthy, and how a rollout goes on after them.

use std::collections::BTreeMap;

use api::names;
use api::shadow::Verdict;
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Fleet, FleetOptions};
use e2e::host::{OnBoot, Release};
use e2e::observer::Observer;
use kube::ResourceExt as _;
use kube::api::ListParams;
use semver::Version;
use serde_json::json;

use crate::policies::held_for;
use crate::{NEW, PATIENCE, fleet, follow, in_flight, policy};

/// Publishes an image of the new version that does not boot and waits until it has been tried, and the node that tried it is
/// back at work.
async fn fall_back_on_the_first_node() -> (Fleet, Observer) {
    let (fleet, observer) = fleet(3).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.edit_policy("default", json!({"paused": true})).await.unwrap();
    fleet.repository.publish(Release::new(NEW).on_boot(OnBoot::FailsToBoot));
    begin_in_order(&fleet).await;
    assert_eq!(halted(&fleet, true).await, "failed on 1.51.0: node-1");
    eventually("node-1 to be restored", PATIENCE, async || {
        Ok((is_failed(&fleet, "node-1", Verdict::Fallback).await? && !is_out(&fleet, "node-1").await?).then_some(()))
    })
    .await
    .unwrap();
    fleet.updated(&FleetOptions::default().version, 3, PATIENCE).await.unwrap();
    held_for(&fleet, "Halted", 2).await;
    held_for(&fleet, "VersionFailed", 1).await;
    assert_eq!(fleet.boots(), BTreeMap::from([("node-1", 1), ("node-2", 0), ("node-3", 0)]));
    for shadow in fleet.shadows().list(&ListParams::default()).await.unwrap() {
        let touched = shadow.metadata.generation > Some(1);
        assert_eq!(touched, shadow.name_any() == "brs-node-1", "{shadow:?}");
    }
    (fleet, observer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_falls_back_stops_at_the_first_node_and_a_newer_one_goes_on_by_itself() {
    let (fleet, observer) = fall_back_on_the_first_node().await;
    let newer = Version::new(1, 52, 0);
    fleet.publish(&newer);
    fleet.updated(&newer, 3, PATIENCE).await.unwrap();
    halted(&fleet, false).await;
    assert_eq!(fleet.boots(), BTreeMap::from([("node-1", 2), ("node-2", 1), ("node-3", 1)]));
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_is_acknowledged_lets_the_version_be_tried_again() {
    let (fleet, observer) = fall_back_on_the_first_node().await;
    fleet.publish(&NEW);
    let acknowledged = format!("{}={NEW}", names::FAILURE_ACKNOWLEDGED_ANNOTATION);
    fleet.plane.kubectl(["annotate", "node", "node-1", &acknowledged]).await.unwrap();
    fleet.updated(&NEW, 3, PATIENCE).await.unwrap();
    halted(&fleet, false).await;
    assert_eq!(fleet.boots(), BTreeMap::from([("node-1", 2), ("node-2", 1), ("node-3", 1)]));
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stays_cordoned_until_it_is_healthy_and_fails_when_that_takes_too_long() {
    let (fleet, observer) = follow(FleetOptions { labels: last_is_healthy, ..FleetOptions::default() }).await;
    fleet.plane.apply(POLICY_WITH_A_CHECK).await.unwrap();
    fleet.publish(&NEW);
    begin_in_order(&fleet).await;
    waits_for_health(&fleet, "node-1").await;
    fleet.plane.kubectl(["label", "node", "node-1", "example.com/healthy=true"]).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    waits_for_health(&fleet, "node-2").await;
    // An edit of the gate reaches the node that waits at it.
    fleet.edit_policy("default", json!({"health": {"timeout": "1s"}})).await.unwrap();
    eventually("node-2 to have failed", PATIENCE, async || {
        Ok(is_failed(&fleet, "node-2", Verdict::Health).await?.then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(halted(&fleet, true).await, "failed on 1.51.0: node-2");
    held_for(&fleet, "Failed", 1).await;
    held_for(&fleet, "Halted", 1).await;
    assert!(is_out(&fleet, "node-2").await.unwrap(), "what is not healthy keeps its cordon");
    assert_eq!(fleet.boots()["node-3"], 0, "no further node");
    // Long enough for the next node to boot.
    fleet.edit_policy("default", json!({"health": {"timeout": "30m"}})).await.unwrap();
    fleet.plane.kubectl(["label", "node", "node-2", "example.com/healthy=true"]).await.unwrap();
    fleet.updated(&NEW, 3, PATIENCE).await.unwrap();
    halted(&fleet, false).await;
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
}

/// Lifts the pause once every node has been offered the new version: whoever hears of it first would be the first otherwise.
async fn begin_in_order(fleet: &Fleet) {
    held_for(fleet, "Paused", 3).await;
    fleet.edit_policy("default", json!({"paused": false})).await.unwrap();
}

/// Waits until the node runs the new version and is kept out by its health gate, alone.
async fn waits_for_health(fleet: &Fleet, node: &str) {
    eventually(&format!("{node} to wait for its health"), PATIENCE, async || {
        let Some(status) = fleet.shadow(node).await?.status else { return Ok(None) };
        let held = status.conditions.unwrap_or_default();
        let unhealthy = held.iter().any(|held| held.reason == "Unhealthy" && held.message.contains("check label"));
        Ok((unhealthy && status.current_version == NEW.to_string()).then_some(()))
    })
    .await
    .unwrap();
    assert!(is_out(fleet, node).await.unwrap(), "{node} is restored before it is healthy");
    assert_eq!(in_flight(fleet).await, 1);
}

/// Waits until the policy says that it is halted, or that it is not, and answers with what it says.
async fn halted(fleet: &Fleet, is: bool) -> String {
    eventually(&format!("the policy to be halted: {is}"), PATIENCE, async || {
        let status = fleet.policies().get("default").await?.status.unwrap_or_default();
        let halted = status.conditions.into_iter().find(|condition| condition.type_ == "Halted");
        let wanted = if is { "True" } else { "False" };
        Ok(halted.filter(|halted| halted.status == wanted).map(|halted| halted.message))
    })
    .await
    .unwrap()
}

/// Whether the controller's verdict on the node's new version is stored.
async fn is_failed(fleet: &Fleet, node: &str, kind: Verdict) -> anyhow::Result<bool> {
    let failed = fleet.shadow(node).await?.status.and_then(|status| status.failed);
    Ok(failed.is_some_and(|failed| failed.kind == kind && failed.version == NEW.to_string()))
}

/// Whether the node is cordoned by the operator.
async fn is_out(fleet: &Fleet, node: &str) -> anyhow::Result<bool> {
    let node = fleet.node_objects().get(node).await?;
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    anyhow::ensure!(
        cordoned == node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION),
        "record and cordon differ"
    );
    Ok(cordoned)
}

/// All nodes but the first two are healthy.
fn last_is_healthy(number: usize) -> BTreeMap<String, String> {
    let healthy = ("example.com/healthy".to_owned(), "true".to_owned());
    if number > 2 { BTreeMap::from([healthy]) } else { BTreeMap::new() }
}

const POLICY_WITH_A_CHECK: &str = "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {name: default}
spec:
  paused: true
  nodeSelector: {}
  health:
    checks:
    - name: label
      node: {jsonPath: \"$.metadata.labels['example.com/healthy']\", expect: ['true']}
";
