//! Whatever is sent: no panic, an answer in the common form, and nothing written.

use api::BottlerocketShadowStatus;
use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB, NODE_RESOURCE, PING, REMOVE_EXCLUSION_FROM_LB, Reason, UNCORDON};
use axum::body::Body;
use http::header::{ALLOW, CONTENT_LENGTH};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::site::{Site, ours};
use crate::tokens::good;

#[tokio::test(start_paused = true)]
async fn unknown_paths_and_methods_are_answered_in_the_common_form() {
    let site = Site::new().await;
    for path in ["/", "/bottlerocket-node-resource/", "/crdconvert", "/metrics", "//"] {
        assert_eq!(site.ours("GET", path).await.refusal(), (404, Reason::NotFound), "{path}");
    }
    for (method, path, allowed) in [
        ("DELETE", NODE_RESOURCE, "GET,HEAD,POST,PUT"),
        ("GET", CORDON_AND_DRAIN, "POST"),
        ("PUT", UNCORDON, "POST"),
        ("POST", PING, "GET,HEAD"),
    ] {
        let answer = site.ours(method, path).await;
        assert_eq!(answer.refusal(), (405, Reason::MethodNotAllowed), "{method} {path}");
        assert_eq!(answer.headers[ALLOW], allowed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_by_its_own_word_is_413_on_every_path() {
    let site = Site::new().await;
    for path in [NODE_RESOURCE, EXCLUDE_FROM_LB, "/elsewhere"] {
        let request = ours("POST", path).header(CONTENT_LENGTH, "10000000").body(Body::empty());
        assert_eq!(site.send(request.unwrap()).await.refusal(), (413, Reason::TooLarge));
    }
}

fn paths() -> impl Strategy<Value = String> {
    let known = [NODE_RESOURCE, CORDON_AND_DRAIN, UNCORDON, EXCLUDE_FROM_LB, REMOVE_EXCLUSION_FROM_LB, PING];
    prop_oneof![
        4 => prop::sample::select(known.map(str::to_owned).to_vec()),
        1 => "/[!-~]{0,40}",
        1 => "/bottlerocket-node-resource\\?[a-zA-Z0-9=&%]{0,60}",
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let names = [
        "brupopnodename",
        "brupopnodeuid",
        "brupopk8sauthtoken",
        "brupopagentversion",
        "if-match",
        "prefer",
        "cache-control",
        "content-type",
        "content-length",
    ];
    let name = prop::sample::select(names.map(str::to_owned).to_vec());
    let value = prop_oneof![
        2 => prop::collection::vec(prop_oneof![32..127_u8, 128..=255_u8], 0..80),
        1 => Just(b"a".to_vec()),
        1 => Just(b"node-uid".to_vec()),
        1 => Just(b"application/json".to_vec()),
        1 => Just(b"wait=1".to_vec()),
    ];
    prop::collection::vec((name, value), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nobody_without_the_token_gets_anything_written(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X"]),
        path in paths(),
        headers in headers(),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let request = request(method, &path, &headers, body, None);
        prop_assume!(request.is_some());
        let (status, writes) = answered(request.unwrap());
        prop_assert!(writes.is_empty(), "{writes:?}");
        prop_assert!((200..504).contains(&status));
    }

    #[test]
    fn the_agent_itself_cannot_do_more_by_odd_headers_and_bodies(
        path in paths(),
        headers in headers(),
        body in ".{0,200}",
    ) {
        let request = request("PUT", &path, &headers, body.into_bytes(), Some(good()));
        prop_assume!(request.is_some());
        let (_, writes) = answered(request.unwrap());
        prop_assert!(writes.is_empty(), "{writes:?}");
    }

    #[test]
    fn whatever_json_an_agent_reports_is_stored_as_its_status_or_refused(body in reports()) {
        let request = ours("PUT", NODE_RESOURCE).header("content-type", "application/json");
        let (status, writes) = answered(request.body(Body::from(body.to_string())).unwrap());
        let stored: &[&str] = if status == 200 { &["status"] } else { &[] };
        let last: Vec<_> = writes.iter().map(|write| write.rsplit('/').next().unwrap()).collect();
        let pins = body.get("version_lock_before").is_some_and(|lock| !lock.is_null());
        let expected = if pins && status == 200 { vec!["a", "status"] } else { stored.to_vec() };
        prop_assert_eq!(last, expected);
    }
}

/// Reports with some fields that are as they should be, and some that are anything.
fn reports() -> impl Strategy<Value = Value> {
    let anything = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        ".{0,150}".prop_map(Value::from),
        "[0-9]{1,20}\\.[0-9]\\.[0-9]".prop_map(Value::from),
        prop::collection::vec(".{0,10}", 0..40).prop_map(Value::from),
        Just(json!({"kind": "Drain", "version": "1.20.0", "time": "2026-11-22T10:00:00Z", "attempts": 0})),
    ];
    let fields = BottlerocketShadowStatus::REPORTED_FIELDS.into_iter().chain(["failed", "conditions", "elsewhere"]);
    let fields = prop::sample::select(fields.map(str::to_owned).collect::<Vec<_>>());
    prop::collection::vec((fields, anything), 0..4).prop_map(|spoilt| {
        let mut report = json!({
            "current_version": "1.19.0", "target_version": "1.20.0", "current_state": "Idle", "crash_count": 0,
            "agent_version": "0.1.0",
        });
        for (field, value) in spoilt {
            report[field] = value;
        }
        report
    })
}

fn request(
    method: &str,
    path: &str,
    headers: &[(String, Vec<u8>)],
    body: Vec<u8>,
    token: Option<&str>,
) -> Option<http::Request<Body>> {
    let mut request = http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, http::HeaderValue::from_bytes(value).ok()?);
    }
    if let Some(token) = token {
        request = request.header("brupopnodename", "a").header("brupopk8sauthtoken", token);
    }
    request.body(Body::from(body)).ok()
}

fn answered(request: http::Request<Body>) -> (u16, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let site = Site::with_approval().await;
        let answer = site.send(request).await;
        // An answer to HEAD has no body.
        if answer.status >= 400 && answer.body != "" {
            answer.refusal();
        }
        let writes = site.world().writes().into_iter().map(str::to_owned).collect();
        (answer.status, writes)
    })
}
