//! One node `a` with its agent, and an apiserver in front of it.

use std::sync::{Arc, Mutex, MutexGuard};

use api::event::Event as NodeEvent;
use api::names::{
    AGENT_COMPONENT, AGENT_SERVICE_ACCOUNT, COMPONENT_LABEL, DISRUPTION_RECORD_ANNOTATION,
    EXCLUDE_FROM_LOAD_BALANCERS_LABEL, TOKEN_AUDIENCE, UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION,
};
use api::wire::{AGENT_VERSION_HEADER, ErrorBody, NODE_NAME_HEADER, Reason, TOKEN_HEADER};
use api::{BottlerocketShadow, DisruptionRecord};
use apiserver::app::App;
use apiserver::cluster::Cluster;
use apiserver::metrics::Metrics;
use apiserver::node_events::{EventReason, NodeEvents};
use apiserver::router::router;
use apiserver::watch::caches;
use axum::Router;
use axum::body::to_bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use http::{HeaderMap, Request};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{Event, Result as Watched};
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::fake::{NODE, SHADOW, World, client, pod_path};
use crate::tokens::{ISSUER, good};

/// When every test begins.
pub(crate) fn beginning() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

pub(crate) fn rfc3339(seconds: i64) -> String {
    (beginning() + SignedDuration::from_secs(seconds)).to_string()
}

pub(crate) struct Site {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) app: Arc<App>,
    pub(crate) pods: UnboundedSender<Watched<Event<Pod>>>,
    events: Mutex<Receiver<NodeEvent>>,
    registry: Registry,
    routes: Router,
}

/// An answer, with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The reason of a refusal. Panics when it is none or not in the common form.
    pub(crate) fn refusal(&self) -> (u16, Reason) {
        let body: ErrorBody = serde_json::from_value(self.body.clone()).unwrap_or_else(|_| panic!("{self:?}"));
        assert!(!body.error.is_empty());
        (self.status, body.reason)
    }
}

impl Answer {
    /// The status code of a success, or a refusal.
    pub(crate) fn refusal_or_status(&self) -> Result<u16, (u16, Reason)> {
        if self.status < 400 { Ok(self.status) } else { Err(self.refusal()) }
    }
}

pub(crate) fn agent_pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "agent-a", "namespace": "brupop", "uid": "pod-uid",
            "labels": { COMPONENT_LABEL: AGENT_COMPONENT },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": true,
            }],
        },
        "spec": {"nodeName": "a", "serviceAccountName": AGENT_SERVICE_ACCOUNT, "containers": []},
        "status": {"phase": "Running"},
    })
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "web", "uid": format!("uid-{name}")},
        "spec": {"nodeName": "a", "containers": []},
        "status": {"phase": "Running"},
    })
}

/// The review of the agent's token.
pub(crate) fn review() -> Value {
    json!({
        "authenticated": true,
        "audiences": [TOKEN_AUDIENCE],
        "user": {
            "username": format!("system:serviceaccount:brupop:{AGENT_SERVICE_ACCOUNT}"),
            "extra": {
                "authentication.kubernetes.io/pod-name": ["agent-a"],
                "authentication.kubernetes.io/pod-uid": ["pod-uid"],
                "authentication.kubernetes.io/node-name": ["a"],
                "authentication.kubernetes.io/node-uid": ["node-uid"],
            },
        },
    })
}

/// A spec that gives the approval, valid for ten minutes.
pub(crate) fn approval() -> Value {
    json!({
        "state": "RebootedIntoUpdate", "version": "1.20.0", "policy": "default",
        "state_transition_timestamp": rfc3339(-30), "disrupt_not_after": rfc3339(600),
    })
}

impl Site {
    /// A node that is asked for nothing.
    pub(crate) async fn new() -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let (shadow_events, shadows) = unbounded();
        let (pods, pod_events) = unbounded();
        let kube = client(world.clone());
        let (caches, writers) = caches("brupop");
        tokio::spawn(writers.follow(pod_events, shadows));
        pods.unbounded_send(Ok(Event::Init)).unwrap();
        shadow_events.unbounded_send(Ok(Event::Init)).unwrap();
        shadow_events.unbounded_send(Ok(Event::InitDone)).unwrap();
        let pod: Pod = serde_json::from_value(agent_pod()).unwrap();
        pods.unbounded_send(Ok(Event::InitApply(pod))).unwrap();
        pods.unbounded_send(Ok(Event::InitDone)).unwrap();
        caches.synced().await.unwrap();
        let (start, registry) = (Instant::now(), Registry::new());
        let metrics = Metrics::register(&registry).unwrap();
        let clock = Arc::new(move || beginning() + SignedDuration::try_from(start.elapsed()).unwrap());
        let cluster = Cluster::new(kube, "brupop");
        let (recorder, publisher) = runtime::events::events(None, |_, _| {});
        let events = NodeEvents::new(recorder);
        let app = Arc::new(App::new(cluster, caches, metrics, events, CancellationToken::new(), clock));
        app.issuers.saw_own(ISSUER, beginning());
        let site =
            Self { routes: router(app.clone()), world, app, pods, events: Mutex::new(publisher.queue), registry };
        site.furnish(shadow_events);
        site.settle().await;
        site
    }

    fn furnish(&self, shadow_events: UnboundedSender<Watched<Event<apiserver::watch::Guarded>>>) {
        let mut world = self.world();
        world.watchers = Some(shadow_events);
        world.tokens.insert(good().to_owned(), review());
        let labels = json!({ UPDATER_INTERFACE_LABEL: UPDATER_INTERFACE_VERSION });
        let metadata = json!({"name": "a", "uid": "node-uid", "labels": labels});
        world.put(NODE, json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}}));
        world.put(&pod_path("brupop", "agent-a"), agent_pod());
        world.put(SHADOW, shadow(&json!({"state": "Idle"})));
    }

    /// A node with a valid approval.
    pub(crate) async fn with_approval() -> Self {
        let site = Self::new().await;
        site.world().put(SHADOW, shadow(&approval()));
        site.settle().await;
        site
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The Events since the last call, by reason and note.
    pub(crate) fn events(&self) -> Vec<(EventReason, String)> {
        use EventReason::{Adopted, DrainAborted, DrainBlocked, Drained, GivenBack};
        let reason = |text: &str| {
            let mut all = [Adopted, DrainAborted, DrainBlocked, Drained, GivenBack].into_iter();
            all.find(|reason| reason.as_str() == text).unwrap()
        };
        let mut events = self.events.lock().unwrap();
        let recorded = std::iter::from_fn(|| events.try_recv().ok());
        recorded.map(|event| (reason(&event.reason.unwrap()), event.note.unwrap())).collect()
    }

    /// The value that a scrape shows of this metric with these labels.
    pub(crate) fn scraped(&self, series: &str) -> f64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{series}: {text}")).parse().unwrap()
    }

    /// Lets the watches catch up.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }

    pub(crate) async fn send(&self, request: Request<axum::body::Body>) -> Answer {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::String(text)),
        }
    }

    /// A request of our agent without a body.
    pub(crate) async fn ours(&self, method: &str, path: &str) -> Answer {
        self.send(ours(method, path).body(axum::body::Body::empty()).unwrap()).await
    }

    /// A request of an original agent without a body.
    pub(crate) async fn original(&self, method: &str, path: &str) -> Answer {
        self.send(original(method, path).body(axum::body::Body::empty()).unwrap()).await
    }

    pub(crate) fn node(&self) -> Value {
        self.world().objects[NODE].clone()
    }

    pub(crate) fn is_cordoned(&self) -> bool {
        self.node()["spec"]["unschedulable"] == true
    }

    /// The value of the load-balancer exclusion label.
    pub(crate) fn exclusion(&self) -> Option<Value> {
        self.node()["metadata"]["labels"].get(EXCLUDE_FROM_LOAD_BALANCERS_LABEL).cloned()
    }

    pub(crate) fn record(&self) -> Option<DisruptionRecord> {
        let node = self.node();
        let text = node["metadata"]["annotations"][DISRUPTION_RECORD_ANNOTATION].as_str()?;
        Some(serde_json::from_str(text).unwrap())
    }

    pub(crate) fn shadow(&self) -> BottlerocketShadow {
        serde_json::from_value(self.world().objects[SHADOW].clone()).unwrap()
    }

    pub(crate) fn desired(&self, spec: &Value) {
        self.world().merge(SHADOW, json!({ "spec": spec }));
    }
}

pub(crate) fn shadow(spec: &Value) -> Value {
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v2", "kind": "BottlerocketShadow",
        "metadata": {
            "name": "brs-a", "namespace": "brupop", "uid": "shadow-uid",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "node-uid"}],
        },
        "spec": spec,
    })
}

pub(crate) fn original(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(NODE_NAME_HEADER, "a")
        .header("brupopnodeuid", "node-uid")
        .header(TOKEN_HEADER, good())
}

pub(crate) fn ours(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(NODE_NAME_HEADER, "a")
        .header(TOKEN_HEADER, good())
        .header(AGENT_VERSION_HEADER, "0.1.0")
}
