//! What callers cost who have not proven who they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::wire::{
    CORDON_AND_DRAIN, EXCLUDE_FROM_LB, NODE_NAME_HEADER, NODE_RESOURCE, PING, REMOVE_EXCLUSION_FROM_LB, TOKEN_HEADER,
    UNCORDON,
};
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::Request;
use http::header::CONTENT_TYPE;

use crate::site::{Site, ours};

/// Every request there is for which a token is needed.
const REQUESTS: [(&str, &str); 7] = [
    ("GET", NODE_RESOURCE),
    ("POST", NODE_RESOURCE),
    ("PUT", NODE_RESOURCE),
    ("POST", CORDON_AND_DRAIN),
    ("POST", UNCORDON),
    ("POST", EXCLUDE_FROM_LB),
    ("POST", REMOVE_EXCLUSION_FROM_LB),
];

/// A body that tells whether anybody has asked for it.
fn watched_body() -> (Body, Arc<AtomicBool>) {
    let asked = Arc::new(AtomicBool::new(false));
    let tells = asked.clone();
    let body = stream::once(async move {
        tells.store(true, Ordering::SeqCst);
        Ok::<_, std::io::Error>(Bytes::from_static(b"{}"))
    });
    (Body::from_stream(body), asked)
}

#[tokio::test(start_paused = true)]
async fn the_body_of_whoever_is_refused_is_never_read() {
    let site = Site::with_approval().await;
    let anonymous = |method: &str, path: &str| Request::builder().method(method).uri(path);
    let forged =
        |method: &str, path: &str| anonymous(method, path).header(NODE_NAME_HEADER, "a").header(TOKEN_HEADER, "forged");
    for (method, path) in REQUESTS {
        for (request, expected) in [(anonymous(method, path), 400), (forged(method, path), 401)] {
            let (body, asked) = watched_body();
            let answer = site.send(request.header(CONTENT_TYPE, "application/json").body(body).unwrap()).await;
            assert_eq!(answer.refusal().0, expected, "{method} {path}");
            assert!(!asked.load(Ordering::SeqCst), "{method} {path}: {expected} after the body was read");
        }
    }
    for (method, path, expected) in [("GET", PING, 200), ("GET", "/elsewhere", 404), ("PUT", PING, 405)] {
        let (body, asked) = watched_body();
        let answer = site.send(anonymous(method, path).body(body).unwrap()).await;
        assert_eq!((answer.status, asked.load(Ordering::SeqCst)), (expected, false), "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_body_of_an_agent_is_read_to_its_end_on_every_path() {
    let site = Site::with_approval().await;
    for (method, path) in REQUESTS {
        let (body, asked) = watched_body();
        site.send(ours(method, path).header(CONTENT_TYPE, "application/json").body(body).unwrap()).await;
        assert!(asked.load(Ordering::SeqCst), "{method} {path}");
    }
}
