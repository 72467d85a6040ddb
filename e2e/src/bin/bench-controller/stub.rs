//! An API server that shows a large cluster and stores nothing but the Lease: what the memory of a controller is measured against.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use api::names;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fleet;

/// What is stored.
struct Stub {
    nodes: usize,
    lease: Mutex<Option<Value>>,
}

/// Serves a cluster of `nodes` nodes that are all up to date; the port.
pub(crate) async fn serve(nodes: usize) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let stub = Arc::new(Stub { nodes, lease: Mutex::new(None) });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stub = stub.clone();
            let service = service_fn(move |request| {
                let stub = stub.clone();
                async move { Ok::<_, Infallible>(stub.answer(request).await) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(port)
}

type Body = BoxBody<Bytes, Infallible>;

impl Stub {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let query = parts.uri.query().unwrap_or_default();
        let parameter = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        if parameter("watch").is_some() {
            let silence = futures::stream::pending::<Result<Frame<Bytes>, Infallible>>();
            return Response::new(BodyExt::boxed(StreamBody::new(silence)));
        }
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        if path.contains("/leases") {
            return self.lease(&parts.method, sent);
        }
        if parts.method != Method::GET {
            // A status: stored, and never shown.
            return json_answer(StatusCode::OK, &fleet::policy(&json!({"nodeSelector": {}})));
        }
        let kind = path.rsplit('/').next().unwrap_or_default();
        let from = parameter("continue").and_then(|text| text.parse().ok()).unwrap_or(0);
        let most = parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
        let metadata_alone = parts
            .headers
            .get("accept")
            .is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("PartialObjectMetadataList")));
        json_answer(StatusCode::OK, &self.list(kind, from, most, metadata_alone))
    }

    fn list(&self, kind: &str, from: usize, most: usize, metadata_alone: bool) -> Value {
        let (count, kinds, version, object): (usize, &str, &str, fn(usize) -> Value) = match kind {
            "nodes" => (self.nodes, "NodeList", "v1", fleet::node),
            "bottlerocketshadows" => (self.nodes, "BottlerocketShadowList", "brupop.bottlerocket.aws/v2", up_to_date),
            "updatepolicies" => (1, "UpdatePolicyList", "brupop.bottlerocket.aws/v1alpha1", |_| {
                fleet::policy(&json!({"nodeSelector": {}, "maxConcurrentUpdates": "10%"}))
            }),
            _ => (self.nodes, "PodList", "v1", pod),
        };
        let to = from.saturating_add(most).min(count);
        let items: Vec<_> = (from..to).map(object).collect();
        let go_on = (to < count).then(|| to.to_string());
        let metadata = json!({"resourceVersion": "1000000", "continue": go_on});
        if metadata_alone {
            let part = |item: &Value| json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": item["metadata"]});
            let items: Vec<_> = items.iter().map(part).collect();
            return json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": metadata, "items": items,
            });
        }
        json!({"apiVersion": version, "kind": kinds, "metadata": metadata, "items": items})
    }

    fn lease(&self, method: &Method, mut sent: Value) -> Response<Body> {
        let mut lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if *method != Method::GET {
            let version = lease.as_ref().and_then(|lease| lease["metadata"]["resourceVersion"].as_str()?.parse().ok());
            sent["metadata"]["resourceVersion"] = json!((version.unwrap_or(0_u64) + 1).to_string());
            *lease = Some(sent);
        }
        match lease.as_ref() {
            Some(lease) => json_answer(StatusCode::OK, lease),
            None => json_answer(
                StatusCode::NOT_FOUND,
                &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
                    "message": "leases \"brupop-controller\" not found"}),
            ),
        }
    }
}

fn up_to_date(number: usize) -> Value {
    let mut shadow = fleet::shadow(number);
    shadow["status"]["current_version"] = json!("1.51.0");
    shadow
}

fn pod(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("brupop-agent-{number}"), "namespace": names::DEFAULT_NAMESPACE,
            "uid": format!("uid-pod-{number}"), "resourceVersion": "1",
            "labels": {names::COMPONENT_LABEL: names::AGENT_COMPONENT},
        },
        "spec": {"nodeName": fleet::name(number), "containers": [{"name": "brupop", "image": "brupop:1"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    answer
}
