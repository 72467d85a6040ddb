//! Restoring what no agent restores.

use std::sync::Arc;
use std::time::Duration;

use api::names::{DISRUPTION_RECORD_ANNOTATION, UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION};
use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB};
use apiserver::node::Unattended;
use apiserver::node_events::EventReason;
use apiserver::operations::attend;
use apiserver::recorded_nodes::RecordedNodes;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::fake::{NODE, SHADOW};
use crate::site::{Site, agent_pod};

/// Time enough for anything but a node without a shadow.
const A_MINUTE: Duration = Duration::from_secs(60);

/// A node that was disrupted as far as it goes, whose agent is silent.
async fn disrupted() -> Site {
    let site = Site::with_approval().await;
    assert_eq!(site.ours("POST", EXCLUDE_FROM_LB).await.status, 200);
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.status, 200);
    site
}

async fn agent_is(site: &Site, ready: &str) {
    let mut pod = agent_pod();
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": ready}]);
    let pod: Pod = serde_json::from_value(pod).unwrap();
    site.pods.unbounded_send(Ok(Event::Apply(pod))).unwrap();
    site.settle().await;
}

/// Lets the apiserver look after its nodes for a while, with what the watch of Nodes shows now.
async fn look_after(site: &Site, patience: Duration) {
    let recorded = seen(&site.node()).await;
    assert!(timeout(patience, attend(&site.app, &recorded)).await.is_err());
}

async fn seen(node: &Value) -> RecordedNodes {
    let node: PartialObjectMeta<Node> = serde_json::from_value(node.clone()).unwrap();
    let recorded = RecordedNodes::default();
    recorded.follow(futures::stream::iter([Ok(Event::Apply(node))])).await;
    recorded
}

fn is_as_before(site: &Site) -> bool {
    let node = site.node();
    let labels = node["metadata"]["labels"].as_object().unwrap().len();
    !site.is_cordoned() && site.record().is_none() && labels == usize::from(is_managed(&node))
}

fn is_managed(node: &Value) -> bool {
    node["metadata"]["labels"][UPDATER_INTERFACE_LABEL] == UPDATER_INTERFACE_VERSION
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_with_a_silent_agent_is_restored() {
    let site = disrupted().await;
    site.desired(&json!({"state": "Idle"}));
    agent_is(&site, "False").await;
    look_after(&site, Duration::from_secs(29)).await;
    assert!(!is_as_before(&site), "an agent that just restarts does it itself");
    look_after(&site, A_MINUTE).await;
    assert!(is_as_before(&site));
    assert_eq!(site.events().last().unwrap().0, EventReason::GivenBack);
    let restored = Unattended::WORDS
        .map(|why| site.scraped(&format!("brupop_apiserver_unattended_restores_total{{why=\"{why}\"}}")));
    assert!((restored.iter().sum::<f64>() - 1.0).abs() < 0.1, "{restored:?}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_there_is_left_to_do_it() {
    let site = disrupted().await;
    site.desired(&json!({"state": "Idle"}));
    agent_is(&site, "True").await;
    look_after(&site, 20 * A_MINUTE).await;
    assert!(!is_as_before(&site));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_asked_to_be_idle_keeps_its_cordon() {
    for state in ["StagedAndPerformedUpdate", "RebootedIntoUpdate", "MonitoringUpdate"] {
        let site = disrupted().await;
        site.desired(&json!({ "state": state }));
        agent_is(&site, "False").await;
        look_after(&site, 20 * A_MINUTE).await;
        assert!(!is_as_before(&site), "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unmanaged_node_is_restored_in_the_middle_of_its_disruption() {
    let site = disrupted().await;
    site.world().merge(NODE, json!({"metadata": {"labels": { UPDATER_INTERFACE_LABEL: null }}}));
    agent_is(&site, "True").await;
    look_after(&site, A_MINUTE).await;
    assert!(is_as_before(&site));
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_shadow_is_restored_after_ten_minutes() {
    let site = disrupted().await;
    site.world().objects.remove(SHADOW);
    let gone: apiserver::watch::Guarded =
        serde_json::from_value(crate::site::shadow(&json!({"state": "Idle"}))).unwrap();
    site.world().show(Event::Delete(gone));
    site.settle().await;
    look_after(&site, 9 * A_MINUTE).await;
    assert!(!is_as_before(&site));
    look_after(&site, 11 * A_MINUTE).await;
    assert!(is_as_before(&site));
}

#[tokio::test(start_paused = true)]
async fn what_kubernetes_has_counts_and_not_what_the_watches_have_brought() {
    let site = disrupted().await;
    site.desired(&json!({"state": "Idle"}));
    agent_is(&site, "False").await;
    let writes = site.world().writes().len();
    // A new approval, which no watch has shown.
    let watchers = site.world().watchers.take();
    site.desired(&json!({"state": "RebootedIntoUpdate"}));
    look_after(&site, 3 * A_MINUTE).await;
    assert!(!is_as_before(&site));
    assert_eq!(site.world().writes().len(), writes);
    drop(watchers);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_left_alone() {
    let site = disrupted().await;
    site.desired(&json!({"state": "Idle"}));
    site.world().merge(NODE, json!({"metadata": {"annotations": { DISRUPTION_RECORD_ANNOTATION: "true" }}}));
    let writes = site.world().writes().len();
    look_after(&site, 10 * A_MINUTE).await;
    assert_eq!(site.world().writes().len(), writes);
    assert!(site.is_cordoned());
}

#[tokio::test(start_paused = true)]
async fn of_several_replicas_one_restores_it() {
    let site = Arc::new(disrupted().await);
    site.desired(&json!({"state": "Idle"}));
    agent_is(&site, "False").await;
    // Every write has a number of its own; the spec above was the last one.
    let before: u64 = site.shadow().metadata.resource_version.unwrap().parse().unwrap();
    let recorded = seen(&site.node()).await;
    let replicas = futures::future::join_all((0..5).map(|_| attend(&site.app, &recorded)));
    assert!(timeout(A_MINUTE, replicas).await.is_err());
    assert!(is_as_before(&site));
    assert_eq!(site.node()["metadata"]["resourceVersion"], (before + 1).to_string(), "one write took effect");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_sat_out() {
    let site = disrupted().await;
    site.desired(&json!({"state": "Idle"}));
    agent_is(&site, "False").await;
    site.world().outage = true;
    let back = async {
        sleep(10 * A_MINUTE).await;
        site.world().outage = false;
        sleep(2 * A_MINUTE).await;
    };
    let recorded = seen(&site.node()).await;
    tokio::select! {
        () = attend(&site.app, &recorded) => unreachable!("it never ends"),
        () = back => {}
    }
    assert!(is_as_before(&site));
}

#[tokio::test(start_paused = true)]
async fn what_the_original_operator_left_is_recorded_unasked_and_what_an_administrator_did_is_not() {
    let originals = |state: &str| json!({"state": state, "disrupt_not_after": null, "policy": null});
    for (state, policy, adopted) in [
        ("RebootedIntoUpdate", None, true),
        ("MonitoringUpdate", None, true),
        ("Idle", None, false),
        ("StagedAndPerformedUpdate", None, false),
        ("RebootedIntoUpdate", Some("default"), false),
    ] {
        let site = Site::with_approval().await;
        site.world().merge(NODE, json!({"spec": {"unschedulable": true}}));
        let mut desired = originals(state);
        desired["policy"] = policy.into();
        site.desired(&desired);
        site.settle().await;
        look_after(&site, A_MINUTE).await;
        assert_eq!(site.record().is_some(), adopted, "{state} {policy:?}");
        assert_eq!(site.events().iter().any(|event| event.0 == EventReason::Adopted), adopted, "{state}");
        assert!(site.is_cordoned());
    }
}
