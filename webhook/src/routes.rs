//! AdmissionReview in, AdmissionReview out. A review that cannot be read gets a review that says so: the API server shows its
//! message to the user, and nothing a client sends stops the webhook.

use std::sync::Arc;
use std::time::Duration;

use api::{UpdatePolicy, text};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Extension, Json, Router};
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use runtime::server::RequestMemory;

use crate::admit::{Change, Decision, advise, judge};
use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::review_threads::{NoDecision, ReviewThreads};

/// Bytes of the largest review: the 1.5 MiB that etcd takes for an object (its `--max-request-bytes`) twice, for the new and
/// the old one, and 64 KiB for who asks and for what. The schema bounds a policy's spec to some 250 KiB and its status to some
/// 900 KiB, Kubernetes its annotations to 256 KiB; what manages which field is bounded by etcd alone.
pub const MAX_REVIEW: usize = 2 * (1536 << 10) + (64 << 10);

/// What the webhook needs beside the review.
pub struct Webhook {
    /// The cluster as the caches show it; `None` until they show all of it.
    pub cluster: Box<dyn Fn() -> Option<Cluster> + Send + Sync>,
    /// Counts of what was answered.
    pub metrics: Metrics,
    /// The threads on which it is done.
    pub threads: ReviewThreads,
}

/// Longest text of a refusal or a warning, in characters. What it repeats of a policy becomes a printable line.
const MAX_SENTENCES: usize = 8192;

/// Which of the two webhooks is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    /// Refuses what cannot be followed.
    Validate,
    /// Refuses nothing.
    Advise,
}

impl Endpoint {
    /// How long a decision may take: less than the API server waits for the answer (`timeoutSeconds`: 3 and 2).
    const fn deadline(self) -> Duration {
        match self {
            Self::Validate => Duration::from_secs(2),
            Self::Advise => Duration::from_secs(1),
        }
    }
}

/// The routes of the HTTPS port.
pub fn routes(webhook: Arc<Webhook>) -> Router {
    Router::new()
        .route("/validate", post(|state, held, body| answer(Endpoint::Validate, state, held, body)))
        .route("/advise", post(|state, held, body| answer(Endpoint::Advise, state, held, body)))
        .layer(DefaultBodyLimit::max(MAX_REVIEW))
        .with_state(webhook)
}

/// Judging goes on when its caller hangs up, and holds meanwhile what the review was charged for.
async fn answer(
    endpoint: Endpoint,
    State(webhook): State<Arc<Webhook>>,
    held: Option<Extension<RequestMemory>>,
    body: Bytes,
) -> Json<AdmissionReview<DynamicObject>> {
    let (work, review) = (webhook.clone(), body.clone());
    let judged = webhook.threads.judge(endpoint.deadline(), move || {
        let _held = held;
        match request(&review) {
            Ok(request) => respond(endpoint, &work, &request),
            Err(why) => malformed(&work, &why),
        }
    });
    let response = match judged.await {
        Ok(response) => response,
        Err(why) => unjudged(endpoint, &webhook, &body, why),
    };
    Json(response.into_review())
}

fn malformed(webhook: &Webhook, why: &str) -> AdmissionResponse {
    webhook.metrics.count("malformed");
    AdmissionResponse::invalid(text::line(why, MAX_SENTENCES))
}

/// What is answered without a decision. The review is read once more for its uid, which takes as long as it has bytes.
fn unjudged(endpoint: Endpoint, webhook: &Webhook, body: &[u8], why: NoDecision) -> AdmissionResponse {
    let request = match request(body) {
        Ok(request) => request,
        Err(why) => return malformed(webhook, &why),
    };
    tracing::warn!(policy = request.name, %why, "policy not judged");
    webhook.metrics.count("unjudged");
    let mut response = AdmissionResponse::from(&request);
    if endpoint == Endpoint::Advise {
        response.warnings = Some(vec![why.to_string()]);
        return response;
    }
    response = response.deny(why);
    response.result.code = 503;
    response.result.reason = "ServiceUnavailable".to_owned();
    response
}

fn request(body: &[u8]) -> Result<AdmissionRequest<DynamicObject>, String> {
    let review: AdmissionReview<DynamicObject> =
        serde_json::from_slice(body).map_err(|error| format!("the review cannot be read: {error}"))?;
    review.try_into().map_err(|error| format!("the review has no request: {error}"))
}

fn respond(endpoint: Endpoint, webhook: &Webhook, request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
    let decision = match decision(endpoint, webhook, request) {
        Ok(decision) => decision,
        Err(why) if endpoint == Endpoint::Advise => Decision { refused: Vec::new(), warnings: vec![why] },
        Err(why) => Decision { refused: vec![why], warnings: Vec::new() },
    };
    let mut response = AdmissionResponse::from(request);
    if !decision.refused.is_empty() {
        let why = text::line(&decision.refused.join("; "), MAX_SENTENCES);
        tracing::info!(policy = request.name, why, "policy refused");
        response = response.deny(why);
        response.result.code = 422;
        response.result.reason = "Invalid".to_owned();
    }
    webhook.metrics.count(if response.allowed { "allowed" } else { "refused" });
    if !decision.warnings.is_empty() {
        let warnings = decision.warnings.iter().map(|warning| text::line(warning, MAX_SENTENCES));
        response.warnings = Some(warnings.collect());
    }
    response
}

/// The decision, or why the object cannot even be read.
fn decision(
    endpoint: Endpoint,
    webhook: &Webhook,
    request: &AdmissionRequest<DynamicObject>,
) -> Result<Decision, String> {
    let cluster = (webhook.cluster)();
    let (new, old) = (request.object.as_ref().map(read), request.old_object.as_ref().map(read));
    let change = match (&request.operation, &new, &old) {
        (Operation::Create, Some(new), _) => Change::Create(new.as_ref().map_err(Clone::clone)?),
        (Operation::Update, Some(new), Some(Ok(old))) => Change::Update(Some(old), new.as_ref().map_err(Clone::clone)?),
        (Operation::Update, Some(new), _) => Change::Update(None, new.as_ref().map_err(Clone::clone)?),
        (Operation::Delete, _, Some(Ok(old))) => Change::Delete(old),
        _ => return Ok(Decision::default()),
    };
    Ok(match endpoint {
        Endpoint::Validate => self::judge(&change, cluster.as_ref()),
        Endpoint::Advise => advise(&change, cluster.as_ref()),
    })
}

fn read(object: &DynamicObject) -> Result<UpdatePolicy, String> {
    object.clone().try_parse().map_err(|error| format!("the policy cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use axum::serve::Listener as _;
    use http_body_util::BodyExt as _;
    use prometheus::Registry;
    use runtime::server::{Limits, listen, serve};
    use serde_json::{Value, json};
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::{Mutex, mpsc};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tower::ServiceExt as _;

    use crate::review_threads::tests::pass;

    const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

    async fn answer(path: &str, body: String) -> Value {
        ask(&counting(&Registry::new()), path, body).await
    }

    /// A webhook without caches that counts into `registry`.
    fn counting(registry: &Registry) -> Router {
        let metrics = Metrics::register(registry).unwrap();
        routes(Arc::new(Webhook { cluster: Box::new(|| None), metrics, threads: ReviewThreads::default() }))
    }

    async fn ask(routes: &Router, path: &str, body: String) -> Value {
        let request = Request::post(path).header("content-type", "application/json").body(Body::from(body));
        let answer = routes.clone().oneshot(request.unwrap()).await.unwrap();
        assert!(answer.status().is_success());
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    fn object(spec: &Value) -> Value {
        json!({
            "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
            "metadata": {"name": "default"}, "spec": spec,
        })
    }

    fn review(operation: &str, new: &Value, old: &Value) -> String {
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": UID,
                "kind": {"group": "brupop.bottlerocket.aws", "version": "v1alpha1", "kind": "UpdatePolicy"},
                "resource": {"group": "brupop.bottlerocket.aws", "version": "v1alpha1", "resource": "updatepolicies"},
                "name": "default", "operation": operation, "userInfo": {}, "object": new, "oldObject": old,
            },
        })
        .to_string()
    }

    fn creation(spec: &Value) -> String {
        review("CREATE", &object(spec), &Value::Null)
    }

    #[tokio::test]
    async fn a_good_policy_is_allowed_under_the_uid_of_the_review() {
        let answer = answer("/validate", creation(&json!({"nodeSelector": {}}))).await;
        assert_eq!(answer["response"]["allowed"], true);
        assert_eq!(answer["response"]["uid"], UID);
        assert_eq!(
            (&answer["apiVersion"], &answer["kind"]),
            (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
        );
    }

    #[tokio::test]
    async fn a_bad_policy_is_refused_with_the_field() {
        let answer = answer("/validate", creation(&json!({"nodeSelector": {}, "maxConcurrentUpdates": "many"}))).await;
        assert_eq!(answer["response"]["allowed"], false);
        assert_eq!(answer["response"]["status"]["code"], 422);
        let message = answer["response"]["status"]["message"].as_str().unwrap();
        assert!(message.starts_with("spec.maxConcurrentUpdates: \"many\" is not an amount"), "{message}");
    }

    #[tokio::test]
    async fn what_an_answer_repeats_of_a_policy_cannot_reach_a_terminal() {
        let odd = json!({"nodeSelector": {"matchLabels": {"\u{1b}[2Jpool\n": "a"}}});
        for (path, at) in [("/validate", "/response/status/message"), ("/advise", "/response/warnings/0")] {
            let answer = answer(path, creation(&odd)).await;
            let says = answer.pointer(at).unwrap().as_str().unwrap();
            assert!(says.contains("pool") && text::is_line(says), "{says:?}");
        }
    }

    #[tokio::test]
    async fn a_policy_of_another_shape_is_refused_but_advice_refuses_nothing() {
        let odd = creation(&json!({"nodeSelector": "all"}));
        assert_eq!(answer("/validate", odd.clone()).await["response"]["allowed"], false);
        let advice = answer("/advise", odd).await;
        assert_eq!(advice["response"]["allowed"], true);
        assert!(advice["response"]["warnings"][0].as_str().unwrap().starts_with("the policy cannot be read"));
        let deleted = review("DELETE", &Value::Null, &object(&json!({"nodeSelector": "all"})));
        assert_eq!(answer("/advise", deleted).await["response"]["allowed"], true);
    }

    #[tokio::test]
    async fn an_update_is_judged_against_what_it_replaces() {
        let bad = json!({"nodeSelector": {}, "drain": {"timeout": "x"}});
        let edited = json!({"nodeSelector": {}, "drain": {"timeout": "x"}, "priority": 3});
        let answer = answer("/validate", review("UPDATE", &object(&edited), &object(&bad))).await;
        assert_eq!(answer["response"]["allowed"], true);
        assert_eq!(answer["response"]["warnings"].as_array().unwrap().len(), 1);
    }

    /// A webhook that waits for ever for the cluster that it judges by, until what is returned second is dropped, and then judges. It
    /// says when it has begun to wait.
    fn endless(registry: &Registry) -> (Router, mpsc::Sender<()>, tokio::sync::mpsc::UnboundedReceiver<()>) {
        let (never, stuck) = mpsc::channel();
        let (begins, begun) = tokio::sync::mpsc::unbounded_channel();
        let stuck = Mutex::new(stuck);
        let cluster = Box::new(move || {
            begins.send(()).unwrap();
            let _ = stuck.lock().unwrap().recv();
            None
        });
        let metrics = Metrics::register(registry).unwrap();
        (routes(Arc::new(Webhook { cluster, metrics, threads: ReviewThreads::default() })), never, begun)
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_that_takes_too_long_is_refused_and_advice_warns() {
        let registry = Registry::new();
        let (webhook, _never, mut begun) = endless(&registry);
        for (path, allowed) in [("/validate", false), ("/advise", true)] {
            let asked = webhook.clone();
            let asked = tokio::spawn(async move { ask(&asked, path, creation(&json!({"nodeSelector": {}}))).await });
            begun.recv().await.unwrap();
            pass(Duration::from_secs(2)).await;
            let response = asked.await.unwrap()["response"].take();
            assert_eq!((&response["allowed"], &response["uid"]), (&json!(allowed), &json!(UID)), "{path}");
            let says = if allowed { &response["warnings"][0] } else { &response["status"]["message"] };
            assert!(says.as_str().unwrap().starts_with("the policy could not be judged within"), "{response}");
            assert!(allowed || response["status"]["code"] == 503, "{response}");
        }
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("{outcome=\"unjudged\"} 2"), "{text}");
    }

    /// Sends a review over a connection of its own, and reads the first line of the answer.
    async fn status_line(address: SocketAddr, review: String) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = review.len();
        let head = format!(
            "POST /validate HTTP/1.1\r\nhost: webhook\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all((head + &review).as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_that_is_still_being_judged_holds_what_it_was_charged_for() {
        let (webhook, _never, _begun) = endless(&Registry::new());
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits::default();
        // Its address has half of it, which is enough for one of these reviews and not for two.
        let limits = Limits { request_bytes: 10 << 10, unauthenticated: limits.connections, ..limits };
        tokio::spawn(serve(listener, None, webhook, limits, std::future::pending()));
        for expected in ["HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable"] {
            let asked = tokio::spawn(status_line(address, creation(&json!({"nodeSelector": {}}))));
            while !asked.is_finished() {
                pass(Duration::from_millis(100)).await;
            }
            assert_eq!(asked.await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn what_is_no_review_gets_a_proper_answer() {
        for body in ["", "[]", "{}", "{\"kind\": \"AdmissionReview\", \"apiVersion\": \"admission.k8s.io/v1\"}"] {
            for path in ["/validate", "/advise"] {
                let answer = answer(path, body.to_owned()).await;
                assert_eq!(answer["response"]["allowed"], false, "{body}");
            }
        }
    }
    #[tokio::test]
    async fn reviews_are_counted_by_what_was_answered_and_exported_under_the_operators_prefix() {
        let registry = Registry::new();
        let webhook = counting(&registry);
        let scraped = || {
            let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            text.lines().filter(|line| !line.starts_with("# HELP")).map(str::to_owned).collect::<Vec<_>>()
        };
        let exported = |[allowed, malformed, refused]: [u32; 3]| {
            [
                "# TYPE brupop_webhook_admission_reviews_total counter".to_owned(),
                format!("brupop_webhook_admission_reviews_total{{outcome=\"allowed\"}} {allowed}"),
                format!("brupop_webhook_admission_reviews_total{{outcome=\"malformed\"}} {malformed}"),
                format!("brupop_webhook_admission_reviews_total{{outcome=\"refused\"}} {refused}"),
                "brupop_webhook_admission_reviews_total{outcome=\"unjudged\"} 0".to_owned(),
            ]
        };
        assert_eq!(scraped(), exported([0, 0, 0]), "before the first review too");
        let bad = creation(&json!({"nodeSelector": {}, "maxConcurrentUpdates": "many"}));
        ask(&webhook, "/validate", creation(&json!({"nodeSelector": {}}))).await;
        ask(&webhook, "/validate", bad.clone()).await;
        ask(&webhook, "/validate", bad.clone()).await;
        ask(&webhook, "/advise", bad).await;
        ask(&webhook, "/validate", "{}".to_owned()).await;
        assert_eq!(scraped(), exported([2, 1, 2]));
    }
}
