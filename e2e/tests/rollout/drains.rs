//! What holds a drain, and whose cordon it is.

use e2e::controlplane::wait::eventually;
use e2e::fleet::Fleet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::{NEW, PATIENCE, fleet, policy};

/// Runs a pod whose budget never lets it go.
pub(crate) async fn block(fleet: &Fleet) {
    fleet.plane.apply(WORKLOAD_WITHOUT_ROOM).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(fleet.plane.client());
    eventually("the pod to run", PATIENCE, async || {
        let pods = pods.list(&ListParams::default().labels("app=pinned")).await?;
        let budget = fleet.plane.kubectl(&["get", "pdb", "pinned", "-o", "jsonpath={.status.currentHealthy}"]).await?;
        Ok((pods.items.len() == 1 && budget == "1").then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_without_room_holds_the_drain_until_it_has_room() {
    let (fleet, observer) = fleet(1).await;
    block(&fleet).await;
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
    let budgets: Api<PodDisruptionBudget> = Api::default_namespaced(fleet.plane.client());
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

/// A pod that may run on the one node only, and a budget that never lets it go.
pub(crate) const WORKLOAD_WITHOUT_ROOM: &str = "apiVersion: apps/v1
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
