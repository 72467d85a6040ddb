//! A cluster of one node: the operator runs on what it updates, and goes down and comes up with it.

use std::collections::BTreeSet;

use api::names::{COMPONENT_LABEL, DEFAULT_NAMESPACE};
use e2e::controlplane::wait::eventually;
use e2e::fleet::Fleet;
use e2e::host::HostEvent;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::{NEW, PATIENCE, fleet, policy};

/// One pod of the operator for each of its programs but the agent, of which the DaemonSet has one already.
const OWN: [&str; 3] = ["apiserver", "controller", "webhook"];

fn deployment(namespace: &str, name: &str, label: &str, replicas: usize) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{{label}: {name}}}}}
  template:
    metadata: {{labels: {{{label}: {name}}}}}
    spec: {{containers: [{{name: {name}, image: example.invalid/{name}}}]}}
"
    )
}

/// The uids of the pods that are selected, as soon as there are so many and all of them run.
async fn running(fleet: &Fleet, namespace: &str, selector: &str, count: usize) -> BTreeSet<String> {
    let pods: Api<Pod> = Api::namespaced(fleet.plane.client(), namespace);
    eventually(&format!("{count} pods of {selector} to run"), PATIENCE, async || {
        let all = pods.list(&ListParams::default().labels(selector)).await?.items;
        let is_running = |pod: &&Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        let running: BTreeSet<_> = all.iter().filter(is_running).filter_map(ResourceExt::uid).collect();
        Ok((running.len() == count && all.len() == count).then_some(running))
    })
    .await
    .unwrap()
}

/// What happens to the programs of the operator that run on the node.
async fn share_the_fate_of_the_node(fleet: &Fleet) {
    let mut events = fleet.host("node-1").subscribe();
    loop {
        match events.recv().await.unwrap() {
            HostEvent::GoingDown { .. } => {
                fleet.apiserver.kill().unwrap();
                fleet.controller.kill().unwrap();
            }
            HostEvent::Up { .. } => {
                fleet.apiserver.restart().unwrap();
                fleet.controller.restart().unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_node_is_updated_with_the_only_apiserver_on_it() {
    let (fleet, observer) = fleet(1).await;
    for component in OWN {
        fleet.plane.apply(&deployment(DEFAULT_NAMESPACE, component, COMPONENT_LABEL, 1)).await.unwrap();
    }
    fleet.plane.apply(&deployment("default", "web", "app", 2)).await.unwrap();
    let selector = format!("{COMPONENT_LABEL} in ({})", OWN.join(","));
    let own = running(&fleet, DEFAULT_NAMESPACE, &selector, OWN.len()).await;
    let web = running(&fleet, "default", "app=web", 2).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    let version = NEW;
    tokio::select! {
        updated = fleet.updated(&version, 1, PATIENCE) => updated.unwrap(),
        () = share_the_fate_of_the_node(&fleet) => unreachable!("the host is there as long as the fleet"),
    }
    assert_eq!(fleet.boots()["node-1"], 1);
    assert_eq!(
        running(&fleet, DEFAULT_NAMESPACE, &selector, OWN.len()).await,
        own,
        "nobody else would have finished it"
    );
    let after = running(&fleet, "default", "app=web", 2).await;
    assert!(after.is_disjoint(&web), "everybody else's pods were evicted");
    observer.assert_no_breach().await;
}
