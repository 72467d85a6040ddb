//! A node of the operator, and its agent as the test plays it.

use std::path::PathBuf;
use std::time::Duration;

use agent::apiserver::TlsDial;
use agent::http::{NoAnswer, exchange};
use api::wire::{self, AGENT_VERSION_HEADER, DrainProgress, ErrorBody, NODE_NAME_HEADER, Reason, TOKEN_HEADER};
use api::{DisruptionRecord, names};
use bytes::Bytes;
use e2e::controlplane::wait::eventually;
use e2e::fleet::APISERVER_NAME;
use http::Request;
use http_body_util::Full;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::site::{PATIENCE, Site};

/// Longer than any call here is open.
const DEADLINE: Duration = Duration::from_secs(200);

/// An answer of the apiserver.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Status code and word of a refusal. Panics when it is none.
    pub(crate) fn refusal(&self) -> (u16, Reason) {
        let body: ErrorBody = serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        (self.status, body.reason)
    }

    /// The progress of a drain. Panics when it is none.
    pub(crate) fn progress(&self) -> DrainProgress {
        assert_eq!(self.status, 202, "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An agent on a node of its own.
pub(crate) struct Agent<'a> {
    pub(crate) site: &'a Site,
    pub(crate) node: String,
    pub(crate) pod: Pod,
    pub(crate) token: String,
}

impl Site {
    /// Creates a node, and waits for its agent's pod.
    pub(crate) async fn agent(&self, node: &str) -> Agent<'_> {
        let labels = json!({
            "kubernetes.io/hostname": node, "kubernetes.io/os": "linux",
            names::UPDATER_INTERFACE_LABEL: names::UPDATER_INTERFACE_VERSION,
            "kubernetes.io/arch": "amd64",
        });
        let object: Node = serde_json::from_value(json!({"metadata": {"name": node, "labels": labels}})).unwrap();
        self.nodes().create(&PostParams::default(), &object).await.unwrap();
        let agents = ListParams::default()
            .labels(&format!("{}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT))
            .fields(&format!("spec.nodeName={node}"));
        let pods = self.pods(names::DEFAULT_NAMESPACE);
        let pod = eventually("the agent's pod to be ready", PATIENCE, async || {
            Ok(pods.list(&agents).await?.items.into_iter().find(is_ready))
        });
        let pod = pod.await.unwrap();
        let token = self.token(&pod, names::AGENT_SERVICE_ACCOUNT, names::TOKEN_AUDIENCE).await;
        Agent { site: self, node: node.to_owned(), pod, token }
    }

    /// A token that is bound to a pod.
    pub(crate) async fn token(&self, pod: &Pod, account: &str, audience: &str) -> String {
        let (namespace, uid) = (pod.namespace().unwrap(), pod.uid().unwrap());
        self.plane.token_for_pod(&namespace, account, &pod.name_any(), &uid, audience).await.unwrap()
    }

    /// Sends a request to one replica.
    pub(crate) async fn send(&self, replica: usize, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        ask(self.replicas[replica], self.certificates.join("ca.crt"), request).await
    }
}

/// Sends a request to the replica on a port, whose certificate is of this authority.
pub(crate) async fn ask(port: u16, ca_file: PathBuf, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
    let dial = TlsDial::new("127.0.0.1".to_owned(), port, APISERVER_NAME, ca_file).unwrap();
    let answer = exchange(&dial, request, 4 << 20, DEADLINE).await?;
    Ok(Answer { status: answer.status().as_u16(), body: answer.into_body() })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

impl Agent<'_> {
    /// A request of an agent of ours, without a body.
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        self.original(method, path).header(AGENT_VERSION_HEADER, "0.1.0")
    }

    /// A request of an original agent, without a body.
    pub(crate) fn original(&self, method: &str, path: &str) -> http::request::Builder {
        let builder = Request::builder().method(method).uri(path).header(http::header::HOST, APISERVER_NAME);
        builder.header(NODE_NAME_HEADER, &self.node).header(TOKEN_HEADER, &self.token)
    }

    pub(crate) async fn send(&self, replica: usize, request: http::request::Builder) -> Answer {
        self.site.send(replica, request.body(Full::default()).unwrap()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(0, self.request("POST", path)).await
    }

    /// Asks one replica for a drain, for an answer within `wait` seconds.
    pub(crate) async fn drain(&self, replica: usize, wait: u32) -> Answer {
        let request = self.request("POST", wire::CORDON_AND_DRAIN).header("prefer", format!("wait={wait}"));
        self.send(replica, request).await
    }

    /// Has the apiserver create the shadow.
    pub(crate) async fn create_shadow(&self) {
        let answer = self.post(wire::NODE_RESOURCE).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Reports that it rests in the old version, with what else is to be said.
    pub(crate) async fn report(&self, more: Value) {
        let mut status = json!({
            "current_version": "1.19.0", "target_version": "1.20.0", "current_state": "Idle", "crash_count": 0,
            "agent_version": "0.1.0",
        });
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = self.request("PUT", wire::NODE_RESOURCE).header(http::header::CONTENT_TYPE, "application/json");
        let request = request.body(Full::new(Bytes::from(status.to_string()))).unwrap();
        let answer = self.site.send(0, request).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Writes the shadow's spec, as the controller does.
    pub(crate) async fn desired(&self, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let name = names::shadow_name(&self.node);
        self.site.shadows().patch(&name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Gives the approval, valid for nine minutes.
    pub(crate) async fn approve(&self) {
        let now = runtime::clock::now();
        self.desired(json!({
            "state": "RebootedIntoUpdate", "version": "1.20.0", "policy": "default",
            "state_transition_timestamp": now.to_string(),
            "disrupt_not_after": (now + SignedDuration::from_mins(9)).to_string(),
        }))
        .await;
    }

    /// Lets `seconds` pass, by the apiserver's clock: a long poll that brings nothing.
    pub(crate) async fn while_nothing_changes(&self, seconds: u32) {
        let shadow = self.site.shadows().get(&names::shadow_name(&self.node)).await.unwrap();
        let version = shadow.resource_version().unwrap();
        let path = format!("{}?resourceVersion={version}&timeoutSeconds={seconds}", wire::NODE_RESOURCE);
        assert_eq!(self.send(0, self.request("GET", &path)).await.status, 304);
    }

    pub(crate) async fn node_object(&self) -> Node {
        self.site.nodes().get(&self.node).await.unwrap()
    }

    pub(crate) async fn is_cordoned(&self) -> bool {
        self.node_object().await.spec.and_then(|spec| spec.unschedulable) == Some(true)
    }

    pub(crate) async fn is_excluded(&self) -> bool {
        self.node_object().await.labels().contains_key(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL)
    }

    pub(crate) async fn record(&self) -> Option<DisruptionRecord> {
        DisruptionRecord::decode(self.node_object().await.metadata.annotations.as_ref()).unwrap()
    }

    /// What the apiserver has written to this node or its shadow.
    pub(crate) fn writes(&self) -> Vec<String> {
        let names = [format!("/{}", self.node), format!("/{}", names::shadow_name(&self.node))];
        self.site.writes(|write| names.iter().any(|name| write.ends_with(name.as_str())))
    }
}
