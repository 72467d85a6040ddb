//! The observer on a real control plane, with a test in the place of the operator.

use std::time::Duration;

use api::names::{
    APISERVER_FIELD_MANAGER, CONTROLLER_FIELD_MANAGER, DISRUPTION_RECORD_ANNOTATION, UPDATER_INTERFACE_LABEL,
    UPDATER_INTERFACE_VERSION, shadow_name,
};
use api::{ApprovalId, BottlerocketShadow, DisruptionRecord, UpdatePolicy};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::conditions::is_crd_established;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{HostChange, Observer, Report, Rule};
use crate::controlplane::ControlPlane;
use crate::controlplane::wait::{eventually, until};

const PATIENCE: Duration = Duration::from_secs(60);

const WORKLOAD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeName: a
      containers: [{name: main, image: none.example/main}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: web}}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_a_real_cluster_is_judged() {
    let plane = ControlPlane::start().await.unwrap();
    let observer = Observer::start(plane.client(), "default");
    install(&plane).await;
    eventually_seen(&observer, "a first list", |report| report.since.is_some()).await;

    start(&plane, "a").await;
    let position = observer.settle().await;
    disrupt(&plane, "a").await;
    observer.assert_no_breach().await;
    let managers: Vec<_> =
        observer.writes_since(position).into_iter().map(|write| (write.object, write.manager)).collect();
    let shadow = ("shadow/brs-a".to_owned(), CONTROLLER_FIELD_MANAGER.to_owned());
    let node = ("node/a".to_owned(), APISERVER_FIELD_MANAGER.to_owned());
    assert_eq!(managers, [shadow, node.clone(), node]);

    let pods = Api::<Pod>::default_namespaced(plane.client());
    let web = pods.list(&ListParams::default().labels("app=web")).await.unwrap();
    pods.evict(&web.items[0].name_any(), &EvictParams::default()).await.unwrap();
    eventually_seen(&observer, "an eviction", |report| report.total_evictions() == 1).await;
    observer.assert_no_breach().await;
    pods.delete(&web.items[1].name_any(), &DeleteParams::default()).await.unwrap();
    eventually_seen(&observer, "a deletion", |report| rules(report) == [Rule::Budget]).await;

    start(&plane, "b").await;
    eventually_seen(&observer, "a start too many", |report| rules(report) == [Rule::Budget, Rule::Limit]).await;
    observer.host_event("a", now(), HostChange::Down { approved: true });
    let early = [Rule::Budget, Rule::Limit, Rule::Reboot];
    eventually_seen(&observer, "a reboot too early", |report| rules(report) == early).await;

    plane.process("kube-apiserver").unwrap().restart().unwrap();
    let seen_again = |report: &Report| report.gaps.last().is_some_and(|gap| gap.until.is_some());
    eventually_seen(&observer, "the API server again", seen_again).await;
    start(&plane, "c").await;
    let again = [early.as_slice(), &[Rule::Limit]].concat();
    eventually_seen(&observer, "another start too many", |report| rules(report) == again).await;
    let report = observer.report();
    println!("{}", report.in_full());
    assert_eq!((report.peaks.overall.in_flight, report.late), (3, 0));
    assert_eq!(report.recorded, ["a"]);
}

fn rules(report: &Report) -> Vec<Rule> {
    report.breaches.iter().map(|breach| breach.rule).collect()
}

async fn eventually_seen(observer: &Observer, what: &str, seen: impl Fn(&Report) -> bool) {
    let waited = eventually(what, PATIENCE, async || Ok(seen(&observer.report()).then_some(()))).await;
    waited.unwrap_or_else(|error| panic!("{error:#}\n{}", observer.report().in_full()));
}

async fn install(plane: &ControlPlane) {
    let definitions = Api::<CustomResourceDefinition>::all(plane.client());
    for definition in api::crd::all() {
        definitions.create(&PostParams::default(), &definition).await.unwrap();
        until(&definitions, &definition.name_any(), "the definition", PATIENCE, is_crd_established()).await.unwrap();
    }
    let spec = json!({"nodeSelector": {}, "maxConcurrentUpdates": 1});
    create::<UpdatePolicy>(&Api::all(plane.client()), json!({"metadata": {"name": "default"}, "spec": spec})).await;
    for name in ["a", "b", "c"] {
        let labels = json!({UPDATER_INTERFACE_LABEL: UPDATER_INTERFACE_VERSION});
        let nodes = Api::<Node>::all(plane.client());
        let node = create(&nodes, json!({"metadata": {"name": name, "labels": labels}})).await;
        let owner = node.controller_owner_ref(&()).unwrap();
        let meta = json!({"name": shadow_name(name), "ownerReferences": [owner]});
        let shadow = json!({"metadata": meta, "spec": {"state": "Idle"}});
        create::<BottlerocketShadow>(&shadows(&plane.client()), shadow).await;
    }
    plane.apply(WORKLOAD).await.unwrap();
    plane.kubectl(["wait", "--for=condition=Available", "deployment/web", "--timeout=60s"]).await.unwrap();
}

fn shadows(client: &Client) -> Api<BottlerocketShadow> {
    Api::default_namespaced(client.clone())
}

async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
}

/// Writes `patch` as the program of that name does.
async fn write<K: DeserializeOwned + Clone + std::fmt::Debug>(api: &Api<K>, manager: &str, name: &str, patch: Value) {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    let written =
        eventually("a write", PATIENCE, async || Ok(Some(api.patch(name, &params, &Patch::Merge(&patch)).await?)));
    written.await.unwrap();
}

async fn start(plane: &ControlPlane, node: &str) {
    let spec = json!({
        "state": "StagedAndPerformedUpdate", "version": "1.20.0", "policy": "default",
        "state_transition_timestamp": now().to_string(),
    });
    write(&shadows(&plane.client()), CONTROLLER_FIELD_MANAGER, &shadow_name(node), json!({"spec": spec})).await;
}

/// Approves a node, writes its record and cordons it.
async fn disrupt(plane: &ControlPlane, node: &str) {
    let (since, version) = (now(), "1.20.0".parse().unwrap());
    let spec = json!({
        "state": "RebootedIntoUpdate", "state_transition_timestamp": since.to_string(),
        "disrupt_not_after": (since + SignedDuration::from_mins(5)).to_string(),
    });
    write(&shadows(&plane.client()), CONTROLLER_FIELD_MANAGER, &shadow_name(node), json!({"spec": spec})).await;
    let nodes = Api::<Node>::all(plane.client());
    let mut record = DisruptionRecord::first(ApprovalId { version, since }, since, false, None);
    let recorded = |record: &DisruptionRecord| json!({"annotations": {DISRUPTION_RECORD_ANNOTATION: record.encode()}});
    write(&nodes, APISERVER_FIELD_MANAGER, node, json!({"metadata": recorded(&record)})).await;
    (record.cordoned, record.drain_began) = (true, Some(since));
    let cordon = json!({"metadata": recorded(&record), "spec": {"unschedulable": true}});
    write(&nodes, APISERVER_FIELD_MANAGER, node, cordon).await;
}

#[expect(clippy::disallowed_methods, reason = "a test of the edge")]
fn now() -> Timestamp {
    Timestamp::now()
}
