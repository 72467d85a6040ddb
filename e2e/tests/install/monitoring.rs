//! A real Prometheus scrapes a fleet with the sample configuration. It takes the distribution's package; where that is missing
//! the test says so and does nothing, unless `PROMETHEUS=required`.

use std::collections::{BTreeMap, BTreeSet};

use api::names;
use e2e::controlplane::wait::eventually;
use e2e::controlplane::{ControlPlane, prometheus_operator_folder};
use e2e::distribution::is_required;
use e2e::fleet::{Bare, Fleet, FleetOptions};
use e2e::install::{Manifest, build_with, workspace};
use e2e::prometheus::{Prometheus, available};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::apply::kubectl;
use crate::takeover::{NEW, OLD, PATIENCE};

const NODES: usize = 2;
const ACCOUNT: &str = "apiVersion: v1
kind: Namespace
metadata: {name: monitoring}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus, namespace: monitoring}
";
const POLICY: &str = "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {name: default}
spec: {nodeSelector: {}, maxConcurrentUpdates: 2}
";
/// One metric of each program, by its component.
const TOLD: [(&str, &str); 4] = [
    ("agent", "brupop_agent_last_contact_timestamp_seconds > 0"),
    ("apiserver", "brupop_apiserver_requests_total > 0"),
    ("brupop-controller", "brupop_managed_nodes == 2"),
    ("webhook", "brupop_webhook_admission_reviews_total >= 0"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_finds_every_program_by_the_sample_and_sees_a_rollout() {
    let program = match available() {
        Ok(program) => program,
        Err(why) => {
            assert!(!is_required("PROMETHEUS"), "{why:#}");
            println!("not run: {why:#}");
            return;
        }
    };
    let fleet = fleet().await;
    let kubeconfig = account(&fleet.plane).await;
    let sample = std::fs::read_to_string(workspace("samples/monitoring/prometheus.yaml")).unwrap();
    let port_of = |pod: &Pod| port_of(&fleet, pod);
    let prometheus = Prometheus::start(&fleet.plane, program, &sample, &kubeconfig, &port_of).await.unwrap();

    eventually("every program to be scraped", PATIENCE, async || {
        let targets = prometheus.targets().await?;
        let down: Vec<_> = targets.iter().filter(|target| target.health != "up").collect();
        anyhow::ensure!(targets.len() == NODES + 3 && down.is_empty(), "{targets:#?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    let targets = prometheus.targets().await.unwrap();
    let components: BTreeSet<_> = targets.iter().map(|target| target.labels["component"].as_str()).collect();
    assert_eq!(components, BTreeSet::from(TOLD.map(|(component, _)| component)));
    let nodes: BTreeSet<_> = targets.iter().filter_map(|target| target.labels.get("node")).collect();
    assert!(fleet.nodes().all(|node| nodes.contains(&node.to_owned())), "{nodes:?}");
    for (component, query) in TOLD {
        eventually(query, PATIENCE, async || {
            let found = prometheus.query(query).await?;
            let of_it = found.iter().filter(|(labels, _)| labels["component"] == component).count();
            Ok((of_it > 0 && of_it == found.len()).then_some(()))
        })
        .await
        .unwrap();
    }

    told(&prometheus, "brupop_hosts_version", "bottlerocket_version", &OLD.to_string(), NODES).await;
    fleet.plane.apply(POLICY).await.unwrap();
    fleet.publish(&NEW);
    fleet.updated(&NEW, NODES, PATIENCE).await.unwrap();
    told(&prometheus, "brupop_hosts_version", "bottlerocket_version", &NEW.to_string(), NODES).await;
    told(&prometheus, "brupop_hosts_state", "state", "Idle", NODES).await;
    // The names that the original has are seen to move: boards of its users go on to work.
    let went = prometheus.query("max_over_time(brupop_hosts_state{state=\"StagedAndPerformedUpdate\"}[5m]) > 0").await;
    assert_eq!(went.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prometheus_operator_takes_its_sample_and_it_selects_the_controllers_service() {
    let plane = ControlPlane::start().await.unwrap();
    let crd = prometheus_operator_folder().await.unwrap().join("monitoring.coreos.com_servicemonitors.yaml");
    plane.apply_path(&crd).await.unwrap();
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd/servicemonitors.monitoring.coreos.com"];
    plane.kubectl(wait).await.unwrap();
    plane.kubectl(["create", "namespace", names::DEFAULT_NAMESPACE]).await.unwrap();
    let sample = std::fs::read_to_string(workspace("samples/monitoring/service-monitor.yaml")).unwrap();
    let strict = ["create", "--validate=strict", "--filename=-"];
    let answer = kubectl(&plane, &strict, &sample).await;
    assert!(answer.accepted && answer.err.is_empty(), "{}", answer.err);
    // A field that there is not is refused, so that this is no empty test.
    let wrong = sample.replace("endpoints:", "endpoint:").replace("name: brupop-controller", "name: other");
    assert!(!kubectl(&plane, &strict, &wrong).await.accepted);

    let monitor = Manifest::parse(&sample).unwrap().objects()[0].clone();
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap().clone();
    let services = Manifest::shipped().unwrap().only(|_, kind| kind == "Service");
    let is_selected = |labels: &Value| wanted.iter().all(|(name, value)| labels[name] == *value);
    let selected: Vec<_> =
        services.objects().iter().filter(|service| is_selected(&service["metadata"]["labels"])).collect();
    let [service] = selected[..] else { panic!("{selected:?}") };
    assert_eq!(service["metadata"]["namespace"], monitor["metadata"]["namespace"]);
    assert_eq!(service["spec"]["ports"][0]["name"], monitor["spec"]["endpoints"][0]["port"]);
}

#[test]
fn a_service_that_asks_to_be_scraped_names_the_port_of_its_pods_metrics() {
    let manifest = Manifest::shipped().unwrap();
    let services = manifest.only(|_, kind| kind == "Service");
    let asks = |service: &&Value| service["metadata"]["annotations"]["prometheus.io/scrape"] == "true";
    let asking: Vec<_> = services.objects().iter().filter(asks).collect();
    let [service] = asking[..] else { panic!("{asking:?}") };
    // As with the original: its boards and rules find the controller where they did.
    assert_eq!(service["metadata"]["name"], "brupop-controller-server");
    assert_eq!(
        (&service["spec"]["ports"][0]["port"], &service["spec"]["ports"][0]["name"]),
        (&json!(80), &json!("main"))
    );
    let controller = manifest.find("Deployment", "brupop-controller-deployment").unwrap();
    let template = &controller["spec"]["template"];
    assert_eq!(service["spec"]["selector"], template["metadata"]["labels"]);
    let ports = template["spec"]["containers"][0]["ports"].as_array().unwrap();
    let metrics = ports.iter().find(|port| port["name"] == service["spec"]["ports"][0]["targetPort"]).unwrap();
    assert_eq!(service["metadata"]["annotations"]["prometheus.io/port"], metrics["containerPort"].to_string());
}

/// Waits until the metric has this value for this label, and 0 for any other.
async fn told(prometheus: &Prometheus, metric: &str, label: &str, value: &str, count: usize) {
    eventually(&format!("{metric} of {value}"), PATIENCE, async || {
        let found = prometheus.query(metric).await?;
        let counted: BTreeMap<_, _> = found
            .iter()
            .filter(|(_, count)| *count > 0.0)
            .filter_map(|(labels, count)| Some((labels[label].as_str()?, *count)))
            .collect();
        Ok((counted == BTreeMap::from([(value, f64::from(u32::try_from(count)?))])).then_some(()))
    })
    .await
    .unwrap();
}

/// A fleet whose programs are pods of the manifest.
async fn fleet() -> Fleet {
    let options = FleetOptions { nodes: NODES, version: OLD, ..FleetOptions::default() };
    let cluster = Bare::start(options).await.unwrap();
    // One pod of each program, since here each is one process; and no cert-manager.
    let manifest = Manifest::parse(&build_with(&["single-replica"]).await.unwrap()).unwrap();
    let manifest = manifest.only(|group, _| group != "cert-manager.io");
    let answer = kubectl(&cluster.plane, &["apply", "--filename=-"], &manifest.text()).await;
    assert!(answer.accepted, "{}", answer.err);
    let fleet = cluster.run_programs().await.unwrap().run_agents().await.unwrap();
    fleet.reported(PATIENCE).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(fleet.plane.client(), names::DEFAULT_NAMESPACE);
    eventually("a pod of each program", PATIENCE, async || {
        let pods = pods.list(&ListParams::default()).await?.items;
        Ok((pods.len() == NODES + 3 && pods.iter().all(|pod| port_of(&fleet, pod).is_some())).then_some(()))
    })
    .await
    .unwrap();
    fleet
}

/// Where the program of a pod has its metrics.
fn port_of(fleet: &Fleet, pod: &Pod) -> Option<u16> {
    match pod.labels().get(names::COMPONENT_LABEL)?.as_str() {
        "agent" => fleet.agent_metrics_port(pod.spec.as_ref()?.node_name.as_deref()?),
        "apiserver" => Some(fleet.apiserver_metrics_port),
        "brupop-controller" => Some(fleet.controller_metrics_port),
        "webhook" => Some(fleet.webhook.metrics_port),
        _ => None,
    }
}

/// The account that Prometheus has in the sample's cluster, with the sample's Role and nothing else.
async fn account(plane: &ControlPlane) -> std::path::PathBuf {
    plane.apply(ACCOUNT).await.unwrap();
    plane.apply_path(&workspace("samples/monitoring/prometheus-role.yaml")).await.unwrap();
    plane.service_account_kubeconfig("monitoring", "prometheus").await.unwrap()
}
