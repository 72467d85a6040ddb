//! Rounds against an API server that stores what it is sent, with watches that show what the test says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{UpdatePolicy, names};
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use kube::core::DeserializeGuard;
use kube::runtime::reflector;
use kube::runtime::reflector::store::Writer as StoreWriter;
use kube::runtime::watcher::Event;
use prometheus::Registry;
use runtime::health::Health;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower_test::mock::{Handle, pair};

use super::super::batch::MOST;
use super::*;
use crate::recorder::recorder;
use crate::snapshot::{WatchedNode, WatchedShadow};
use crate::watch::AgentPod;

type Server = Handle<Request<Body>, Response<Body>>;

const NODES: usize = 3 * MOST;
const NOW: &str = "2026-11-22T02:00:00Z";

/// A request, as far as a test looks at it.
type Asked = (Method, String, Value);

/// A node whose shadow cannot be written, the code that such a write is answered with, and its reason.
type Refused = (usize, u16, &'static str);

/// Stores whatever it is sent, each answer after `delay`, but nothing to the shadow that is `refused`.
async fn store(mut server: Server, delay: Duration, refused: Option<Refused>, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut version = 1_000_000;
    while let Some((request, send)) = server.next_request().await {
        tokio::time::sleep(delay).await;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body: Value = serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
        let refused = refused.filter(|(number, ..)| path.ends_with(&format!("/brs-n-{number}")));
        if let Some((_, code, reason)) = refused {
            let status = json!({"kind": "Status", "status": "Failure", "reason": reason, "message": "", "code": code});
            let answer = Response::builder().status(code).body(Body::from(serde_json::to_vec(&status).unwrap()));
            send.send_response(answer.unwrap());
            continue;
        }
        version += 1;
        let answer = if path.contains("/updatepolicies/") {
            let mut policy = policy(false);
            policy["status"] = body["status"].clone();
            policy
        } else {
            let number = path.trim_end_matches("/status").rsplit('-').next().unwrap().parse().unwrap();
            let mut shadow = shadow(number);
            if let Some(spec) = body["spec"].as_object() {
                shadow["spec"].as_object_mut().unwrap().extend(spec.clone());
            }
            shadow["metadata"]["resourceVersion"] = json!(version.to_string());
            shadow
        };
        asked.lock().unwrap().push((method, path, body));
        let answer = serde_json::to_vec(&answer).unwrap();
        send.send_response(Response::builder().status(200).body(Body::from(answer)).unwrap());
    }
}

fn node(number: usize) -> Value {
    json!({
        "metadata": {
            "name": format!("n-{number}"), "uid": format!("uid-{number}"), "resourceVersion": "1",
            "labels": {names::UPDATER_INTERFACE_LABEL: names::UPDATER_INTERFACE_VERSION},
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// Of an original agent, which needs no pod to be heard from.
fn shadow(number: usize) -> Value {
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v2", "kind": "BottlerocketShadow",
        "metadata": {
            "name": format!("brs-n-{number}"), "namespace": "ns", "uid": format!("uid-brs-{number}"), "resourceVersion": "2",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": format!("n-{number}"), "uid": format!("uid-{number}")}],
        },
        "spec": {"state": "Idle"},
        "status": {"current_state": "Idle", "current_version": "1.50.0", "target_version": "1.51.0", "crash_count": 0},
    })
}

fn policy(paused: bool) -> Value {
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
        "metadata": {"name": "default", "uid": "u", "resourceVersion": "3", "generation": 1},
        "spec": {"nodeSelector": {}, "maxConcurrentUpdates": "unlimited", "paused": paused},
    })
}

fn filled<K, T>(objects: impl Iterator<Item = Value>) -> (reflector::Store<K>, StoreWriter<K>)
where
    K: kube::Resource<DynamicType = ()> + Clone + From<T> + 'static,
    T: serde::de::DeserializeOwned,
{
    let (store, mut writer) = reflector::store();
    objects.for_each(|object| show(&mut writer, K::from(serde_json::from_value::<T>(object).unwrap())));
    (store, writer)
}

fn show<K: kube::Resource<DynamicType = ()> + Clone + 'static>(writer: &mut StoreWriter<K>, object: K) {
    writer.apply_watcher_event(&Event::Apply(object));
}

/// A leader of a cluster in which every node is outdated and may start at once.
struct Rig {
    registry: Registry,
    cycle: Cycle,
    watches: Watches,
    policies: StoreWriter<DeserializeGuard<UpdatePolicy>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    health: Health,
}

fn rig(delay: Duration) -> Rig {
    rig_with(delay, None)
}

fn rig_with(delay: Duration, refused: Option<Refused>) -> Rig {
    let (service, server) = pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let asked = Arc::default();
    tokio::spawn(store(server, delay, refused, Arc::clone(&asked)));
    let (nodes, _) = filled::<WatchedNode, WatchedNode>((0..NODES).map(node));
    let (shadows, _) = filled::<WatchedShadow, WatchedShadow>((0..NODES).map(shadow));
    let (policies, writer) = filled::<DeserializeGuard<UpdatePolicy>, DeserializeGuard<_>>([policy(false)].into_iter());
    let (pods, _) = filled::<AgentPod, AgentPod>([].into_iter());
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let health = Health::default();
    let context = Context {
        writer: Writer::new(&client, "ns"),
        recorder: recorder(&client, &metrics).0,
        metrics,
        leadership: Leadership::until(CancellationToken::new()),
        heartbeat: health.heartbeat("loop", Duration::from_secs(10)),
        planner: Planner::default(),
    };
    let watches = Watches::of(nodes, shadows, policies, pods);
    Rig { registry, cycle: Cycle::new(context), watches, policies: writer, asked, health }
}

impl Rig {
    /// What another leader of the same cluster would act through.
    fn context(&self) -> Context {
        let Context { writer, recorder, metrics, leadership, heartbeat, planner } = &self.cycle.context;
        Context {
            writer: writer.clone(),
            recorder: recorder.clone(),
            metrics: metrics.clone(),
            leadership: leadership.clone(),
            heartbeat: heartbeat.clone(),
            planner: planner.clone(),
        }
    }

    async fn round(&mut self) -> Option<Timestamp> {
        self.round_at(NOW.parse().unwrap()).await
    }

    async fn round_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.cycle.round(&self.watches, now).await.unwrap()
    }

    /// How many nodes were asked to start so far.
    fn starts(&self) -> usize {
        let starts = |(_, _, body): &&Asked| body["spec"]["state"] == "StagedAndPerformedUpdate";
        self.asked.lock().unwrap().iter().filter(starts).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_acts_after_a_bounded_number_of_writes() {
    let mut rig = rig(Duration::ZERO);
    let wake = rig.round().await;
    assert_eq!(rig.starts(), MOST);
    assert_eq!(wake, NOW.parse().ok(), "the rest is due at once");
    show(&mut rig.policies, serde_json::from_value(policy(true)).unwrap());
    rig.round().await;
    assert_eq!(rig.starts(), MOST, "nothing begins any more");
}

#[tokio::test(start_paused = true)]
async fn a_large_plan_is_written_in_several_rounds() {
    let mut rig = rig(Duration::ZERO);
    for round in 1..=3 {
        rig.round().await;
        assert_eq!(rig.starts(), round * MOST, "no watch has shown any of it, and none is written twice");
    }
    assert_ne!(rig.round().await, NOW.parse().ok());
    assert_eq!(rig.starts(), NODES);
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_writes_slowly_shows_that_it_is_alive() {
    let mut rig = rig(Duration::from_secs(4));
    let health = rig.health.clone();
    let mut looks = 0;
    let watching = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(health.stuck(), []);
            looks += 1;
        }
    };
    tokio::select! {
        () = watching => {}
        _ = rig.round() => {}
    }
    assert!(looks > 10, "{looks} looks: the round took longer than a heartbeat may be old");
}

#[tokio::test(start_paused = true)]
async fn what_a_round_has_seen_decided_and_written_is_exported() {
    let mut rig = rig_with(Duration::ZERO, Some((0, 409, "Conflict")));
    rig.round().await;
    let text = prometheus::TextEncoder::new().encode_to_string(&rig.registry.gather()).unwrap();
    for line in [
        format!("brupop_hosts_state{{state=\"Idle\"}} {NODES}"),
        format!("brupop_hosts_version{{bottlerocket_version=\"1.50.0\"}} {NODES}"),
        format!("brupop_managed_nodes {NODES}"),
        "brupop_plan_seconds_count 1".to_owned(),
        "brupop_writes_total{action=\"start\",result=\"conflict\"} 1".to_owned(),
        format!("brupop_writes_total{{action=\"start\",result=\"ok\"}} {}", MOST - 1),
        "brupop_writes_total{action=\"status\",result=\"ok\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|exported| exported == line), "no {line} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_cannot_be_written_keeps_its_place_from_nobody_for_long() {
    let mut rig = rig_with(Duration::ZERO, Some((0, 422, "Invalid")));
    let mut one_at_a_time = policy(false);
    one_at_a_time["spec"]["maxConcurrentUpdates"] = json!(1);
    show(&mut rig.policies, serde_json::from_value(one_at_a_time).unwrap());
    let now: Timestamp = NOW.parse().unwrap();
    for seconds in 0..3 {
        rig.round_at(now + SignedDuration::from_secs(10 * seconds)).await;
        assert_eq!(rig.starts(), 0, "it is first in order, and may have been unlucky");
    }
    rig.round_at(now + SignedDuration::from_secs(21)).await;
    assert_eq!(rig.starts(), 1, "another takes its turn");
    rig.round_at(now + SignedDuration::from_secs(60)).await;
    assert_eq!(rig.starts(), 1, "and no second one beside it");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_shadow_names_the_version_it_was_decided_on() {
    let mut rig = rig(Duration::ZERO);
    rig.round().await;
    let said = |(_, path, _): &&Asked| path.contains("/brs-n-") && path.ends_with("/status");
    let said_of_started = rig.asked.lock().unwrap().iter().filter(said).count();
    assert_eq!((rig.starts(), said_of_started), (MOST, 0), "what was written to is as no plan has seen it yet");
    show(&mut rig.policies, serde_json::from_value(policy(true)).unwrap());
    rig.round().await;
    let asked = rig.asked.lock().unwrap();
    let versions: Vec<_> = asked.iter().filter(said).map(|(_, _, body)| &body["metadata"]["resourceVersion"]).collect();
    assert_eq!(versions.len(), MOST, "a portion of the others is held by the pause");
    assert!(versions.iter().all(|version| **version == "2"), "{versions:?}");
}

/// The policy as a leader has left it that could not plan over it, at a later generation after `edits`.
fn passed_over(edits: i64) -> UpdatePolicy {
    let mut policy: UpdatePolicy = serde_json::from_value(policy(false)).unwrap();
    let before = policy.status.take().unwrap_or_default();
    policy.status = Some(crate::status::exceeded_deadline(before, 1, NOW.parse().unwrap()));
    policy.metadata.generation = Some(1 + edits);
    policy
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_could_not_be_planned_is_passed_over_by_every_leader_until_it_is_edited() {
    let mut rig = rig(Duration::ZERO);
    show(&mut rig.policies, DeserializeGuard(Ok(passed_over(0))));
    let statuses = |rig: &Rig| {
        let asked = rig.asked.lock().unwrap();
        let statuses = asked.iter().filter(|(_, path, _)| path.contains("/updatepolicies/"));
        statuses.map(|(.., body)| body["status"].clone()).collect::<Vec<_>>()
    };
    let verdict = json!(passed_over(0).status.unwrap().conditions[0]);
    let mut written = Vec::new();
    for _ in 0..4 {
        rig.round().await;
        written.push(statuses(&rig).len());
        assert_eq!(rig.starts(), 0);
        assert!(statuses(&rig).iter().all(|status| status["conditions"][0] == verdict), "{:?}", statuses(&rig));
        // The watch shows what was written.
        let mut shown = passed_over(0);
        let last = statuses(&rig).pop().unwrap();
        shown.status = Some(serde_json::from_value(last).unwrap());
        show(&mut rig.policies, DeserializeGuard(Ok(shown)));
        rig.cycle = Cycle::new(rig.context());
    }
    assert!(
        written[0] > 0 && written[2] == written[3],
        "what is known of it is written, and then nothing: {written:?}"
    );
    show(&mut rig.policies, DeserializeGuard(Ok(passed_over(1))));
    rig.round().await;
    assert_eq!(rig.starts(), MOST, "an edit is tried");
    let status = statuses(&rig).pop().unwrap();
    assert_eq!((&status["conditions"][0]["status"], &status["observedGeneration"]), (&json!("True"), &json!(2)));
}
