//! Agents of the original operator under our apiserver and controller.

use std::time::Duration;

use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB, NODE_RESOURCE, REMOVE_EXCLUSION_FROM_LB, UNCORDON};
use api::{State, names};
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Fleet, FleetOptions, OriginalAgents};
use e2e::host::{Reach, Span, Timings};
use e2e::observer::Observer;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::Value;

use crate::drains::PINNED;
use crate::{NEW, PATIENCE, follow, policy};

/// What counts at the original's update API is its retries, which are a twentieth of the real ones here: an image is there
/// long before they are used up, as on a real host.
const QUICK_IMAGES: Span = Span::between(Duration::from_millis(100), Duration::from_millis(200));

async fn fleet(nodes: usize, original: OriginalAgents) -> (Fleet, Observer) {
    let timings = Timings { prepare: QUICK_IMAGES, ..Timings::default() };
    follow(FleetOptions { nodes, original, timings, ..FleetOptions::default() }).await
}

const ONE: OriginalAgents = OriginalAgents { nodes: 1, exclude_from_lb_wait: 20, faster: 20 };

/// The original agent's calls of the apiserver and whether each succeeded; `None`: it is open. From its log.
fn calls(fleet: &Fleet, node: &str) -> Vec<(String, Option<bool>)> {
    let log = std::fs::read_to_string(fleet.agent(node).log_path()).unwrap();
    let mut calls: Vec<(String, Option<bool>)> = Vec::new();
    for line in log.lines() {
        let Some((_, fields)) = line.split_once(" method=") else { continue };
        let mut fields = fields.split_whitespace();
        let method = fields.next().unwrap();
        let path = fields.next().unwrap().trim_start_matches("path=").trim_matches('"');
        let answered = fields.next().map(|field| field == "succeeded=true");
        match answered {
            None => calls.push((format!("{method} {path}"), None)),
            Some(answered) => calls.last_mut().unwrap().1 = Some(answered),
        }
    }
    calls
}

/// The attempts that were no success, and the crashes.
fn troubles(fleet: &Fleet, node: &str) -> Vec<String> {
    let log = std::fs::read_to_string(fleet.agent(node).log_path()).unwrap();
    let trouble =
        |line: &&str| line.contains(" crash ") || (line.contains("trying again") && line.contains(NODE_RESOURCE));
    log.lines().filter(trouble).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_agent_goes_through_a_whole_update() {
    let (fleet, observer) = fleet(1, ONE).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    eventually("the node to be out of the load balancers and cordoned", PATIENCE, async || {
        let node = fleet.node_objects().get("node-1").await?;
        let excluded = node.labels().contains_key(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL);
        let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
        Ok((excluded && cordoned).then_some(()))
    })
    .await
    .unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    let node = fleet.node_objects().get("node-1").await.unwrap();
    assert!(!node.labels().contains_key(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL));
    let status = fleet.shadow("node-1").await.unwrap().status.unwrap();
    assert_eq!((status.agent_version, status.crash_count), (None, 0));
    assert_eq!(fleet.boots()["node-1"], 1);

    let report = format!("PUT {NODE_RESOURCE}");
    let post = |path: &str| format!("POST {path}");
    let expected = [
        post(NODE_RESOURCE),
        report.clone(), // Idle.
        report.clone(), // There is a new version.
        report.clone(), // Staged, and activated.
        post(EXCLUDE_FROM_LB),
        post(CORDON_AND_DRAIN),
        // After the boot, which is too early to restore the node.
        post(REMOVE_EXCLUSION_FROM_LB),
        post(UNCORDON),
        report.clone(),
        report.clone(),
        // Under MonitoringUpdate it is not.
        post(REMOVE_EXCLUSION_FROM_LB),
        post(UNCORDON),
        report.clone(),
        report.clone(), // Idle.
    ];
    let calls = calls(&fleet, "node-1");
    assert!(calls.iter().all(|(_, answered)| *answered == Some(true)), "{calls:#?}");
    let calls: Vec<_> = calls.into_iter().map(|(call, _)| call).collect();
    assert_eq!(calls, expected);
    assert_eq!(troubles(&fleet, "node-1"), Vec::<String>::new());
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_originals_call_stays_open_through_a_full_budget_and_a_veto() {
    let (fleet, observer) = fleet(1, ONE).await;
    PINNED.run(&fleet.plane, PATIENCE).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(fleet.plane.client());
    let pinned = pods.list(&ListParams::default().labels("app=pinned")).await.unwrap().items.remove(0);
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    let evictions = || requests(&fleet, "create", "pods", "pinned");
    eventually("evictions to be refused", PATIENCE, async || Ok((evictions() >= 3).then_some(()))).await.unwrap();

    fleet.plane.kubectl(&["uncordon", "node-1"]).await.unwrap();
    // The drain looks at the Node at the beginning of each round, and evicts after it.
    rounds(&fleet, 2).await;
    let asked = evictions();
    PINNED.allow(&fleet.plane, 1).await.unwrap();
    rounds(&fleet, 3).await;
    assert_eq!(evictions(), asked, "nothing is evicted while it is vetoed");
    assert_eq!(pods.get(&pinned.name_any()).await.unwrap().uid(), pinned.uid());
    let last = calls(&fleet, "node-1").pop().unwrap();
    assert_eq!(last, (format!("POST {CORDON_AND_DRAIN}"), None), "the call is open");

    fleet.plane.kubectl(&["cordon", "node-1"]).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    let drains: Vec<_> =
        calls(&fleet, "node-1").into_iter().filter(|(call, _)| call.ends_with(CORDON_AND_DRAIN)).collect();
    assert_eq!(drains, [(format!("POST {CORDON_AND_DRAIN}"), Some(true))]);
    assert_eq!(troubles(&fleet, "node-1"), Vec::<String>::new());
    assert_eq!(fleet.boots()["node-1"], 1);
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_originals_failed_prepare_is_reset_and_tried_again_when_it_may() {
    let (fleet, observer) = fleet(1, ONE).await;
    fleet.host("node-1").faults(|faults| faults.reach = Reach::ImagesMissing);
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    let at_rest = eventually("the node to be at rest after a crash, and held", PATIENCE, async || {
        let shadow = fleet.shadow("node-1").await?;
        let status = shadow.status.filter(|status| status.crash_count > 0 && status.current_state == State::Idle);
        let held = status.filter(|status| status.conditions.iter().flatten().any(|held| held.reason == "BackOff"));
        Ok(held.filter(|_| shadow.spec.state == State::Idle))
    });
    let at_rest = at_rest.await.unwrap();
    assert_eq!(at_rest.crash_count, 1);
    assert!(at_rest.state_transition_failure_timestamp.unwrap().ends_with("+00:00"), "the original's own words");
    assert_eq!(fleet.boots()["node-1"], 0);
    let crashes = troubles(&fleet, "node-1");
    assert!(matches!(crashes.as_slice(), [crash] if crash.contains("the update state is Available")), "{crashes:#?}");

    fleet.host("node-1").faults(|faults| faults.reach = Reach::Reachable);
    let acknowledged = format!("{}={NEW}", names::FAILURE_ACKNOWLEDGED_ANNOTATION);
    fleet.plane.kubectl(&["annotate", "node", "node-1", &acknowledged]).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    let status = fleet.shadow("node-1").await.unwrap().status.unwrap();
    assert_eq!((status.crash_count, status.state_transition_failure_timestamp), (0, None));
    assert_eq!(fleet.boots()["node-1"], 1);
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_of_both_kinds_reaches_the_new_version() {
    let (fleet, observer) = fleet(4, OriginalAgents { nodes: 2, ..ONE }).await;
    let kinds: Vec<_> = fleet.shadows().list(&ListParams::default()).await.unwrap().items;
    let ours = |shadow: &&api::BottlerocketShadow| shadow.status.as_ref().unwrap().agent_version.is_some();
    assert_eq!(kinds.iter().filter(ours).count(), 2);
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet.publish(&NEW);
    fleet.updated(&NEW, 4, PATIENCE).await.unwrap();
    fleet.plane.kubectl(&["wait", "--for=condition=UpToDate", "--timeout=60s", "bup/default"]).await.unwrap();
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    for node in ["node-3", "node-4"] {
        assert_eq!(troubles(&fleet, node), Vec::<String>::new());
    }
    observer.settle().await;
    assert_eq!(observer.report().peaks.overall.in_flight, 2);
    observer.assert_no_breach().await;
}

/// How many requests of the operator's apiserver there were, by verb, resource and the beginning of the name.
fn requests(fleet: &Fleet, verb: &str, resource: &str, name: &str) -> usize {
    let log = std::fs::read_to_string(fleet.plane.audit_log()).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let matching = lines.filter(|line| {
        let object = &line["objectRef"];
        line["verb"] == verb
            && line["stage"] == "ResponseComplete"
            && line["user"]["username"].as_str().is_some_and(|user| user.ends_with(names::APISERVER_SERVICE_ACCOUNT))
            && object["resource"] == resource
            && object["name"].as_str().is_some_and(|object| object.starts_with(name))
    });
    matching.count()
}

/// Waits until the apiserver has looked at the Node that many more times.
async fn rounds(fleet: &Fleet, more: usize) {
    let looks = || requests(fleet, "get", "nodes", "node-1");
    let enough = looks() + more;
    eventually("the apiserver to look at the Node", PATIENCE, async || Ok((looks() >= enough).then_some(())))
        .await
        .unwrap();
}
