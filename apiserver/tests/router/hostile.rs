//! Whatever is sent: no panic, an answer in the common form, and nothing written.

use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB, NODE_RESOURCE, PING, REMOVE_EXCLUSION_FROM_LB, Reason, UNCORDON};
use axum::body::Body;
use http::header::{ALLOW, CONTENT_LENGTH};
use proptest::prelude::*;

use crate::site::{Site, ours};

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
        let request = request("PUT", &path, &headers, body.into_bytes(), Some("good"));
        prop_assume!(request.is_some());
        let (_, writes) = answered(request.unwrap());
        prop_assert!(writes.is_empty(), "{writes:?}");
    }
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
        let site = Site::with_go().await;
        let answer = site.send(request).await;
        // An answer to HEAD has no body.
        if answer.status >= 400 && answer.body != "" {
            answer.refusal();
        }
        let writes = site.world().writes().into_iter().map(str::to_owned).collect();
        (answer.status, writes)
    })
}
