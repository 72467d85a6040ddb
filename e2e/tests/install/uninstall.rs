//! The README's way out: every Node is as it was before the operator came, and nothing of it is left.

use std::collections::BTreeSet;

use api::names;
use e2e::certmanager::CertManager;
use e2e::controlplane::ControlPlane;
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Bare, Fleet, FleetOptions};
use e2e::host::{Host, Release, Settings};
use e2e::workload::Workload;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::guide::{commands, follow, section};
use crate::takeover::{NEW, PATIENCE};

const README: &str = "README.md";
const NODES: usize = 4;
const STUBBORN: Workload<'_> = Workload::deployment("stubborn", 9, 0);

/// What people have written on the Nodes, each in its own way.
const PEOPLES: [&[&str]; 4] = [
    &["label", "node", "node-2", "node.kubernetes.io/exclude-from-external-load-balancers=mine"],
    &["annotate", "node", "node-2", "example.com/owner=storage"],
    &["taint", "node", "node-2", "example.com/dedicated=storage:PreferNoSchedule"],
    &["cordon", "node-4"],
];

#[tokio::test(flavor = "multi_thread")]
async fn after_an_uninstallation_every_node_is_as_it_was_and_nothing_of_ours_is_left() {
    let options = FleetOptions { nodes: NODES, ..FleetOptions::default() };
    let cluster = Bare::start(options).await.unwrap();
    let _issuer = CertManager::start(&cluster.plane, names::DEFAULT_NAMESPACE).await.unwrap();
    for peoples in PEOPLES {
        cluster.plane.kubectl(peoples).await.unwrap();
    }
    STUBBORN.run(&cluster.plane, PATIENCE).await.unwrap();
    let objects = everything(&cluster.plane).await;
    let nodes = nodes(&cluster.plane).await;
    let settings_before: Vec<_> = cluster.hosts().map(settings).collect();
    cluster.repository.publish(Release::new(NEW));

    let install = section(README, "## Install it");
    let (install, _) = install.split_once("    kubectl apply -f samples/").unwrap();
    follow(&cluster.plane, install).await;
    assert!(everything(&cluster.plane).await.len() > objects.len() + 30, "what is compared sees what is installed");
    let fleet = cluster.run_programs().await.unwrap().run_agents().await.unwrap();
    one_is_updated_and_one_in_the_middle_of_it(&fleet).await;

    let remove = commands(&section(README, "## Remove it"));
    let (first, rest) = remove.split_first().unwrap();
    follow(&fleet.plane, &format!("    {first}")).await;
    assert!(has_record(&fleet, "node-3").await, "what is disrupted finishes");
    STUBBORN.allow(&fleet.plane, STUBBORN.replicas).await.unwrap();
    follow(&fleet.plane, &rest.iter().map(|command| format!("    {command}\n")).collect::<String>()).await;

    assert_eq!(fleet.boots().into_values().collect::<Vec<_>>(), [0, 1, 1, 0], "what had begun has finished");
    eventually("everything to be gone", PATIENCE, async || {
        let left: Vec<_> = everything(&fleet.plane).await.difference(&objects).cloned().collect();
        anyhow::ensure!(left.is_empty(), "left: {left:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    assert_eq!(objects.difference(&everything(&fleet.plane).await).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(self::nodes(&fleet.plane).await, nodes);
    assert_eq!(fleet.hosts().map(settings).collect::<Vec<_>>(), settings_before);
}

/// What is set on a host, its version-lock included.
fn settings(host: &Host) -> Settings {
    host.with(|machine, _| machine.datastore().settings())
}

/// Takes `node-2` to the new version, and `node-3` to a drain that a budget holds.
async fn one_is_updated_and_one_in_the_middle_of_it(fleet: &Fleet) {
    fleet.plane.apply(&policy("node-2")).await.unwrap();
    STUBBORN.allow(&fleet.plane, STUBBORN.replicas).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    STUBBORN.run(&fleet.plane, PATIENCE).await.unwrap();
    fleet.plane.apply(&policy("node-3")).await.unwrap();
    fleet.says("node-3", "default/stubborn", PATIENCE).await.unwrap();
    assert!(has_record(fleet, "node-3").await);
}

async fn has_record(fleet: &Fleet, node: &str) -> bool {
    let node = fleet.node_objects().get(node).await.unwrap();
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let excluded = node.labels().contains_key(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL);
    cordoned && excluded && node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION)
}

fn policy(node: &str) -> String {
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "metadata": {"name": "default"},
        "spec": {
            "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": node}},
            "loadBalancerExclusion": {"waitSeconds": 1},
        },
    })
    .to_string()
}

/// The Nodes, but for what their kubelets write.
async fn nodes(plane: &ControlPlane) -> Vec<Value> {
    let nodes = Api::<Node>::all(plane.client()).list(&kube::api::ListParams::default()).await.unwrap().items;
    nodes.into_iter().map(|node| without_the_kubelets(serde_json::to_value(node).unwrap())).collect()
}

fn without_the_kubelets(mut node: Value) -> Value {
    let metadata = node["metadata"].as_object_mut().unwrap();
    metadata.remove("resourceVersion");
    metadata.remove("managedFields");
    let annotations = metadata["annotations"].as_object_mut().unwrap();
    annotations.retain(|name, _| !name.starts_with("simulator.brupop.bottlerocket.aws/"));
    let status = node["status"].as_object_mut().unwrap();
    for reported in ["bootID", "osImage"] {
        status["nodeInfo"].as_object_mut().unwrap().remove(reported);
    }
    for condition in status["conditions"].as_array_mut().unwrap() {
        condition["lastHeartbeatTime"] = Value::Null;
        condition["lastTransitionTime"] = Value::Null;
    }
    node
}

/// Every object of the cluster, of whatever kind. What comes and goes by itself is left out.
async fn everything(plane: &ControlPlane) -> BTreeSet<String> {
    const OF_ITSELF: [&str; 7] =
        ["bindings", "componentstatuses", "endpoints", "events", "leases", "pods", "replicasets"];
    let kinds = plane.kubectl(["api-resources", "--verbs=list", "--output=name"]).await.unwrap();
    let comes_and_goes = |kind: &&str| OF_ITSELF.contains(&kind.split('.').next().unwrap_or_default());
    let kinds: Vec<_> = kinds.lines().filter(|kind| !comes_and_goes(kind)).collect();
    let columns = "custom-columns=API:.apiVersion,KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name";
    let kinds = kinds.join(",");
    let args = ["get", &kinds, "--all-namespaces", "--no-headers", "--ignore-not-found", "--output", columns];
    let listed = plane.kubectl(args).await.unwrap();
    listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn what_is_ours_on_a_node_is_compared() {
    let node = json!({
        "metadata": {"resourceVersion": "1", "annotations": {(names::DISRUPTION_RECORD_ANNOTATION): "", "simulator.brupop.bottlerocket.aws/power": "off"}},
        "status": {"nodeInfo": {"bootID": "a"}, "conditions": []},
    });
    let compared = without_the_kubelets(node);
    assert_eq!(compared["metadata"], json!({"annotations": {(names::DISRUPTION_RECORD_ANNOTATION): ""}}));
}
