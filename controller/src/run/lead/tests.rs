//! A leader whose planning never ends, against an API server with one policy.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use api::UpdatePolicy;
use axum::body::Body as Answer;
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use kube::core::DeserializeGuard;
use kube::runtime::reflector;
use kube::runtime::reflector::store::Writer as StoreWriter;
use kube::runtime::watcher::Event;
use prometheus::Registry;
use runtime::health::{Health, metrics_routes};
use runtime::supervise::Supervisor;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::advance;
use tower::ServiceExt as _;
use tower_test::mock::{Handle, pair};

use super::super::decide::decide;
use super::super::planner::DEADLINE;
use super::*;
use crate::recorder::recorder;
use crate::snapshot::Step;

/// How a test makes planning stop: it blocks until the sender is dropped.
struct Endless {
    planner: Planner,
    begun: UnboundedReceiver<()>,
    never: mpsc::Sender<()>,
}

/// A planner that comes to `step` of the first policy and stays there.
fn endless(step: Step) -> Endless {
    let (never, stuck) = mpsc::channel();
    let (begins, begun) = unbounded_channel();
    let stuck = Mutex::new(stuck);
    let planner = Planner::by(move |work| {
        let policy = work.watches.policies.state().remove(0);
        let facts = crate::snapshot::PolicyFacts::read(&policy);
        work.memory.parsed.progress().at(facts.place(step.clone()), || {
            begins.send(()).unwrap();
            let _ = stuck.lock().unwrap().recv();
        });
        decide(work)
    });
    Endless { planner, begun, never }
}

fn policy(generation: i64) -> DeserializeGuard<UpdatePolicy> {
    serde_json::from_value(json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
        "metadata": {"name": "default", "uid": "u", "resourceVersion": "3", "generation": generation},
        "spec": {"nodeSelector": {}},
        "status": {"versions": [{"version": "1.51.0", "firstSeen": "2026-11-01T00:00:00Z"}]},
    }))
    .unwrap()
}

/// Answers every list with an empty one, and every write of a policy's status by what `refusals` has next, or else with the policy.
async fn serve(mut server: Handle<Request<Body>, Response<Body>>, refusals: Vec<u16>, written: Arc<Mutex<Vec<Value>>>) {
    let mut refusals = refusals.into_iter();
    while let Some((request, send)) = server.next_request().await {
        let method = request.method().clone();
        let body = request.into_body().collect_bytes().await.unwrap();
        let (code, answer) = if method == Method::GET {
            let kind = "PartialObjectMetadataList";
            (
                200,
                json!({"apiVersion": "meta.k8s.io/v1", "kind": kind, "metadata": {"resourceVersion": "1"}, "items": []}),
            )
        } else {
            written.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            match refusals.next() {
                Some(code) => {
                    (code, json!({"kind": "Status", "status": "Failure", "reason": "", "message": "", "code": code}))
                }
                None => (200, serde_json::to_value(policy(1).0.unwrap()).unwrap()),
            }
        };
        let answer = Body::from(serde_json::to_vec(&answer).unwrap());
        send.send_response(Response::builder().status(code).body(answer).unwrap());
    }
}

struct Rig {
    health: Health,
    registry: Registry,
    policies: StoreWriter<DeserializeGuard<UpdatePolicy>>,
    written: Arc<Mutex<Vec<Value>>>,
    stop: CancellationToken,
    lead: CancellationToken,
    idle: oneshot::Receiver<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

/// A controller that leads and plans with `planner`, run as the program runs it.
fn rig(planner: Planner, refusals: Vec<u16>) -> Rig {
    let (service, server) = pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let written = Arc::default();
    tokio::spawn(serve(server, refusals, Arc::clone(&written)));
    let (store, mut policies) = reflector::store();
    policies.apply_watcher_event(&Event::Apply(policy(1)));
    let watches = Watches::of(reflector::store().0, reflector::store().0, store, reflector::store().0);
    let (registry, health) = (Registry::new(), Health::default());
    let metrics = Metrics::register(&registry).unwrap();
    let mut supervisor = Supervisor::new(Duration::from_secs(10));
    let token = supervisor.token();
    let lead = token.child_token();
    let controller = Controller {
        watches,
        writer: Writer::new(&client, "ns"),
        recorder: recorder(&client, &metrics).0,
        metrics,
        heartbeat: health.heartbeat("loop", Duration::from_secs(120)),
        leadership: Leadership::until(lead.clone()),
        planner,
    };
    let (ended, idle) = oneshot::channel();
    supervisor.spawn("loop", async move { Ok(controller.run(&token, ended).await?) });
    let stop = CancellationToken::new();
    let told = stop.clone();
    let running = tokio::spawn(supervisor.run(async move { told.cancelled().await }));
    Rig { health, registry, policies, written, stop, lead, idle, running }
}

/// Lets time pass second by second. It does not pass by itself while a thread is at work.
async fn pass(time: Duration) {
    for _ in 0..time.as_secs() {
        advance(Duration::from_secs(1)).await;
        // What waits for an answer waits for several tasks, one after the other.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

impl Rig {
    async fn answers(&self, path: &str) -> u16 {
        let routes = self.health.routes().merge(metrics_routes(self.registry.clone()));
        let request = Request::get(path).body(Answer::empty()).unwrap();
        routes.oneshot(request).await.unwrap().status().as_u16()
    }

    fn verdicts(&self) -> Vec<Value> {
        self.written.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn planning_that_never_ends_ends_the_lead_and_leaves_probes_scrapes_and_signals_answered() {
    let Endless { planner, mut begun, never: _never } = endless(Step::Check("disk".to_owned()));
    let mut rig = rig(planner, Vec::new());
    begun.recv().await.unwrap();
    pass(DEADLINE / 2).await;
    assert_eq!((rig.answers("/livez").await, rig.answers("/metrics").await), (200, 200));
    assert!(rig.verdicts().is_empty() && rig.idle.try_recv().is_err(), "it may come yet");
    pass(DEADLINE).await;
    assert_eq!((rig.answers("/livez").await, rig.answers("/metrics").await), (503, 200));
    rig.idle.try_recv().expect("the Lease may be given up");
    pass(10 * DEADLINE).await;
    assert_eq!(rig.answers("/livez").await, 503, "for good");
    assert!(begun.try_recv().is_err(), "it has planned no more");
    rig.stop.cancel();
    let outcome = rig.running.await.unwrap().unwrap_err().to_string();
    assert!(outcome.contains("policy default, generation 1: to evaluate its health check disk"), "{outcome}");
}

#[tokio::test(start_paused = true)]
async fn the_verdict_is_stored_on_the_policy_as_it_was_tried_and_forgets_nothing() {
    let Endless { planner, mut begun, never: _never } = endless(Step::Read);
    let rig = rig(planner, Vec::new());
    begun.recv().await.unwrap();
    pass(2 * DEADLINE).await;
    let verdicts = rig.verdicts();
    let [verdict] = verdicts.as_slice() else { panic!("{verdicts:?}") };
    assert_eq!((&verdict["metadata"]["uid"], &verdict["metadata"]["resourceVersion"]), (&json!("u"), &json!("3")));
    assert_eq!(verdict["status"]["versions"][0]["version"], "1.51.0");
    let accepted = &verdict["status"]["conditions"][0];
    let says = ["type", "status", "reason"].map(|field| accepted[field].as_str().unwrap());
    assert_eq!(says, ["Accepted", "False", "PlanningDeadlineExceeded"]);
    assert_eq!((&accepted["observedGeneration"], &verdict["status"]["observedGeneration"]), (&json!(1), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_is_not_stored_is_written_again() {
    let Endless { planner, mut begun, never: _never } = endless(Step::Read);
    let mut rig = rig(planner, vec![409, 503]);
    begun.recv().await.unwrap();
    pass(2 * DEADLINE).await;
    assert_eq!(rig.verdicts().len(), 3);
    rig.idle.try_recv().expect("and the Lease may be given up then");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_was_edited_meanwhile_gets_no_verdict() {
    let Endless { planner, mut begun, never: _never } = endless(Step::Read);
    let mut rig = rig(planner, Vec::new());
    begun.recv().await.unwrap();
    rig.policies.apply_watcher_event(&Event::Apply(policy(2)));
    pass(2 * DEADLINE).await;
    assert!(rig.verdicts().is_empty(), "the edit was not tried");
    assert_eq!(rig.answers("/livez").await, 503);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_planning_that_never_ends() {
    let Endless { planner, mut begun, never: _never } = endless(Step::Schedule);
    let mut rig = rig(planner, Vec::new());
    begun.recv().await.unwrap();
    rig.stop.cancel();
    pass(Duration::from_secs(8)).await;
    let outcome = rig.running.await.unwrap().unwrap_err().to_string();
    assert!(outcome.contains("policy default, generation 1: to evaluate its schedule"), "{outcome}");
    rig.idle.try_recv().expect("the Lease may be given up");
    assert!(rig.written.lock().unwrap().is_empty(), "it may have come yet");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_loses_the_lead_while_it_plans_for_ever_neither_leads_again_nor_writes() {
    let Endless { planner, mut begun, never: _never } = endless(Step::Read);
    let rig = rig(planner, Vec::new());
    begun.recv().await.unwrap();
    rig.lead.cancel();
    pass(2 * WRITE_DEADLINE).await;
    assert_eq!(rig.answers("/livez").await, 503);
    assert!(rig.verdicts().is_empty() && !rig.running.is_finished() && begun.try_recv().is_err());
}
