//! What may happen to a node in the middle of an update, by activity, with real processes: a table with what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context;
use api::BottlerocketShadow;
use api::shadow::Activity;
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Fleet, FleetOptions};
use e2e::host::{Cause, Client, Deed, Span, Timings};
use futures::TryStreamExt;
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::timeout;

use crate::{NEW, PATIENCE};

/// At what.
const ACTIVITIES: [Activity; 6] = [
    Activity::Staging,
    Activity::ExcludingFromLoadBalancer,
    Activity::Draining,
    Activity::Activating,
    Activity::Rebooting,
    Activity::Verifying,
];

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Blow {
    AgentKilled,
    PowerCycled,
    ShadowDeleted,
    NodeRegisteredAnew,
}

const BLOWS: [Blow; 4] = [Blow::AgentKilled, Blow::PowerCycled, Blow::ShadowDeleted, Blow::NodeRegisteredAnew];

/// A node with one thing that is to happen to it.
struct Case {
    activity: Activity,
    blow: Blow,
}

/// One case for each activity and blow, by node.
fn cases() -> BTreeMap<String, Case> {
    let all = ACTIVITIES.into_iter().flat_map(|activity| BLOWS.map(|blow| Case { activity, blow }));
    (1..).map(|number| format!("node-{number}")).zip(all).collect()
}

async fn strike(fleet: &Fleet, node: &str, blow: Blow) {
    match blow {
        Blow::AgentKilled => drop(fleet.agent(node).kill().unwrap()),
        Blow::PowerCycled => fleet.host(node).perform(Deed::PowerCycle),
        Blow::ShadowDeleted => {
            fleet.shadows().delete(&api::names::shadow_name(node), &DeleteParams::default()).await.unwrap();
        }
        Blow::NodeRegisteredAnew => fleet.register_anew(node).await.unwrap(),
    }
}

/// Follows the shadows until to each node has happened what is to happen to it, and says what each was doing at that moment.
async fn strike_all(fleet: &Fleet, cases: &BTreeMap<String, Case>) -> BTreeMap<String, Option<Activity>> {
    let mut struck = BTreeMap::new();
    let mut open: BTreeSet<&str> = cases.keys().map(String::as_str).collect();
    let shadows = watcher(fleet.shadows(), watcher::Config::default()).default_backoff().applied_objects();
    let mut shadows = std::pin::pin!(shadows);
    while !open.is_empty() {
        let next = timeout(PATIENCE, shadows.try_next()).await;
        let shadow: BottlerocketShadow =
            next.with_context(|| format!("nothing happens, left: {open:?}")).unwrap().unwrap().unwrap();
        let name = shadow.name_any();
        let node = name.strip_prefix("brs-").unwrap();
        let Some(case) = cases.get(node) else { continue };
        let activity = shadow.status.as_ref().and_then(|status| status.activity);
        if activity == Some(case.activity) && open.remove(node) {
            let now = fleet.shadow(node).await.unwrap().status.and_then(|status| status.activity);
            strike(fleet, node, case.blow).await;
            struck.insert(node.to_owned(), now);
        }
    }
    struck
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_a_node_at_any_activity_it_is_updated_by_at_most_one_reboot_of_ours() {
    let cases = cases();
    // Long enough for what happens to happen in the middle of it.
    let seconds = |seconds| Span::exactly(Duration::from_secs(seconds));
    let timings = Timings { activate: seconds(2), shutdown: seconds(2), ..Timings::default() };
    let options = FleetOptions { nodes: cases.len(), timings, ..FleetOptions::default() };
    let fleet = Fleet::start(options).await.unwrap();
    fleet.reported(PATIENCE).await.unwrap();
    fleet.plane.apply(ONE_POD_A_NODE).await.unwrap();
    fleet.plane.kubectl(&["rollout", "status", "deployment/spread", "--timeout=120s"]).await.unwrap();
    fleet.plane.apply(POLICY).await.unwrap();
    fleet.publish(&NEW);
    let struck = strike_all(&fleet, &cases).await;
    fleet.updated(&NEW, cases.len(), 2 * PATIENCE).await.unwrap();
    for (node, Case { activity, blow }) in &cases {
        let host = fleet.host(node);
        let asked = Cause::RebootRequest(Client::Socket);
        let ours = host.boots().iter().filter(|boot| boot.cause == asked).count();
        let context = format!("{activity:?}, {blow:?} ({node})");
        let (at, what) = (format!("{activity:?}"), format!("{blow:?}"));
        println!("| {at:<25} | {what:<18} | updated, {ours} of {} boots ours |", host.boots().len());
        // A machine that loses its power with the new image active comes up in it, without a reboot of ours.
        let least = usize::from(!matches!(blow, Blow::PowerCycled));
        assert!((least..=1).contains(&ours), "{context}: {ours} reboots of ours");
        if !matches!(activity, Activity::Staging | Activity::Verifying) {
            assert_eq!(struck[node], Some(*activity), "{context}: it came too late");
        }
        is_restored(&fleet, node, *blow, &context).await;
    }
}

/// The node is as it was: it is neither cordoned nor excluded, carries no record, and its host is not held to any version.
async fn is_restored(fleet: &Fleet, node: &str, blow: Blow, context: &str) {
    let object = fleet.node_objects().get(node).await.unwrap();
    assert_ne!(object.spec.as_ref().and_then(|spec| spec.unschedulable), Some(true), "{context}");
    let left = |key: &&String| key.starts_with("brupop.") || *key == api::names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL;
    assert_eq!(object.labels().keys().find(left), None, "{context}");
    eventually(&format!("{context}: the pin to be gone"), Duration::from_secs(30), async || {
        let object = fleet.node_objects().get(node).await?;
        let status = fleet.shadow(node).await?.status;
        let told = status.is_some_and(|status| status.version_lock_before.is_some());
        Ok((!told && object.annotations().keys().find(left).is_none()).then_some(()))
    })
    .await
    .unwrap();
    let settings = fleet.host(node).with(|machine, _| machine.datastore().settings());
    let lock = settings.updates.unwrap().version_lock.unwrap().version();
    match blow {
        // What the lock was before is written on the Node and in its shadow, and both are gone: nobody can tell whose it is.
        Blow::NodeRegisteredAnew => assert!(lock.is_none() || lock == Some(NEW), "{context}: held to {lock:?}"),
        Blow::AgentKilled | Blow::PowerCycled | Blow::ShadowDeleted => {
            assert_eq!(lock, None, "{context}: still held");
        }
    }
}

const POLICY: &str = "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {name: default}
spec: {nodeSelector: {}, maxConcurrentUpdates: 8, loadBalancerExclusion: {waitSeconds: 2}}
";

/// Something to drain on each node, that takes two seconds to end.
const ONE_POD_A_NODE: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: spread, namespace: default}
spec:
  replicas: 24
  selector: {matchLabels: {app: spread}}
  template:
    metadata:
      labels: {app: spread}
      annotations: {simulator.brupop.bottlerocket.aws/termination: 2s}
    spec:
      terminationGracePeriodSeconds: 5
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: spread}}}
      containers: [{name: spread, image: example.invalid/spread}]
";
