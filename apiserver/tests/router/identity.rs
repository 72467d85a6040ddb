//! Who is let in.

use std::time::Duration;

use api::names::TOKEN_AUDIENCE;
use api::wire::{CORDON_AND_DRAIN, NODE_RESOURCE, NODE_UID_HEADER, PING, Reason, TOKEN_HEADER};
use apiserver::open_requests::MOST;
use axum::body::Body;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep};

use crate::fake::{NODE, pod_path};
use crate::site::{Site, agent_pod, original, ours, review};
use crate::tokens::{claims_with, good, token};

const REVIEWS: &str = "tokenreviews";

async fn refused_with(review: Value) -> (u16, Reason) {
    let site = Site::with_approval().await;
    site.world().tokens.insert(good().to_owned(), review);
    let answer = site.ours("POST", CORDON_AND_DRAIN).await;
    assert!(site.world().writes().is_empty());
    answer.refusal()
}

fn with(pointer: &str, value: Value) -> Value {
    let mut review = review();
    *review.pointer_mut(pointer).unwrap() = value;
    review
}

const EXTRA: &str = "/user/extra/authentication.kubernetes.io~1";

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_the_agents_on_this_node_is_refused_and_nothing_is_written() {
    let cases = [
        (with("/authenticated", json!(false)), (401, Reason::Unauthenticated)),
        (with("/audiences", json!(["https://kubernetes.default.svc"])), (401, Reason::Unauthenticated)),
        (with("/user/username", json!("system:serviceaccount:brupop:default")), (403, Reason::Forbidden)),
        (
            with("/user/username", json!("system:serviceaccount:web:brupop-agent-service-account")),
            (403, Reason::Forbidden),
        ),
        (with("/user/extra", json!({})), (403, Reason::Forbidden)),
        (with(&format!("{EXTRA}pod-name"), json!(["agent-b"])), (403, Reason::Forbidden)),
        (with(&format!("{EXTRA}pod-uid"), json!(["older"])), (403, Reason::Forbidden)),
        (with(&format!("{EXTRA}node-name"), json!(["b"])), (403, Reason::Forbidden)),
        (with(&format!("{EXTRA}node-uid"), json!(["older"])), (401, Reason::StaleToken)),
    ];
    for (review, refusal) in cases {
        assert_eq!(refused_with(review.clone()).await, refusal, "{review}");
    }
    assert_eq!(TOKEN_AUDIENCE, "brupop-apiserver");
}

#[tokio::test(start_paused = true)]
async fn headers_that_are_missing_or_doubled_are_400_before_anything_is_asked() {
    let site = Site::with_approval().await;
    let without = http::Request::post(CORDON_AND_DRAIN).body(Body::empty()).unwrap();
    assert_eq!(site.send(without).await.refusal(), (400, Reason::BadRequest));
    let doubled = ours("POST", CORDON_AND_DRAIN).header(TOKEN_HEADER, "other").body(Body::empty()).unwrap();
    assert_eq!(site.send(doubled).await.refusal(), (400, Reason::BadRequest));
    assert!(site.world().asked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_uid_must_be_right_where_it_is_sent() {
    let site = Site::new().await;
    for (uid, status) in [("node-uid", 200), ("older", 401)] {
        let request = ours("GET", NODE_RESOURCE).header(NODE_UID_HEADER, uid).body(Body::empty()).unwrap();
        assert_eq!(site.send(request).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_node_that_was_created_anew_is_stale() {
    let site = Site::with_approval().await;
    assert_eq!(site.ours("GET", NODE_RESOURCE).await.status, 200);
    site.world().merge(NODE, json!({"metadata": {"uid": "newer"}}));
    let answer = site.ours("POST", CORDON_AND_DRAIN).await;
    assert_eq!(answer.refusal(), (401, Reason::StaleToken));
    assert!(site.world().writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_review_is_remembered_for_a_while() {
    let site = Site::new().await;
    for _ in 0..100 {
        assert_eq!(site.ours("GET", NODE_RESOURCE).await.status, 200);
    }
    assert_eq!(site.world().count(REVIEWS), 1);
    advance(Duration::from_secs(61)).await;
    site.ours("GET", NODE_RESOURCE).await;
    assert_eq!(site.world().count(REVIEWS), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_reviewed_once_for_all_who_wait_for_it() {
    let site = Site::new().await;
    let answers = join_all((0..16).map(|_| site.ours("GET", NODE_RESOURCE))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(site.world().count(REVIEWS), 1);
}

#[tokio::test(start_paused = true)]
async fn a_review_is_void_when_the_pod_goes() {
    let site = Site::new().await;
    assert_eq!(site.ours("GET", NODE_RESOURCE).await.status, 200);
    let pod: Pod = serde_json::from_value(agent_pod()).unwrap();
    site.world().objects.remove(&pod_path("brupop", "agent-a"));
    site.pods.unbounded_send(Ok(Event::Delete(pod))).unwrap();
    site.settle().await;
    assert_eq!(site.ours("GET", NODE_RESOURCE).await.refusal(), (403, Reason::Forbidden));
    assert_eq!(site.world().count(REVIEWS), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_the_watch_has_not_shown_yet_is_looked_up() {
    let site = Site::new().await;
    let mut newer = agent_pod();
    newer["metadata"]["uid"] = "newer".into();
    site.world().put(&pod_path("brupop", "agent-a"), newer);
    let just_started = token(&claims_with("/kubernetes.io/pod/uid", json!("newer")));
    site.world().tokens.insert(just_started.clone(), with(&format!("{EXTRA}pod-uid"), json!(["newer"])));
    for request in [ours, original] {
        let mut request = request("GET", NODE_RESOURCE).body(Body::empty()).unwrap();
        request.headers_mut().insert(TOKEN_HEADER, just_started.parse().unwrap());
        assert_eq!(site.send(request).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_review_that_cannot_be_had_is_503_and_not_remembered() {
    let site = Site::new().await;
    site.world().outage = true;
    assert_eq!(site.ours("GET", NODE_RESOURCE).await.refusal(), (503, Reason::Unavailable));
    assert!(site.app.reviews.is_empty());
    site.world().outage = false;
    assert_eq!(site.ours("GET", NODE_RESOURCE).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_ping_needs_no_token() {
    let site = Site::new().await;
    let answer = site.send(http::Request::get(PING).body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.body), (200, json!("pong")));
}

#[tokio::test(start_paused = true)]
async fn one_node_has_so_many_open_requests_and_an_original_agent_waits_instead() {
    let site = Site::new().await;
    let version: u64 = site.shadow().metadata.resource_version.unwrap().parse().unwrap();
    let poll = format!("{NODE_RESOURCE}?resourceVersion={version}&timeoutSeconds=60");
    let polls = join_all((0..MOST).map(|_| site.ours("GET", &poll)));
    let others = async {
        sleep(Duration::from_secs(5)).await;
        assert_eq!(site.ours("GET", NODE_RESOURCE).await.refusal(), (429, Reason::TooManyRequests));
        let begin = Instant::now();
        let original = site.original("GET", NODE_RESOURCE).await;
        (original.status, begin.elapsed().as_secs())
    };
    let (polls, (status, waited)) = tokio::join!(polls, others);
    assert!(polls.iter().all(|poll| poll.status == 304));
    assert!(status == 200 && (54..56).contains(&waited), "{status} after {waited} s");
    assert_eq!(site.app.open_requests.nodes(), 0);
}
