//! Creating, reading and reporting.

use std::time::Duration;

use api::names::VERSION_LOCK_BEFORE_ANNOTATION;
use api::shadow::Pin;
use api::wire::{NODE_RESOURCE, Reason};
use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::fake::SHADOW;
use crate::site::{Answer, Site, original, ours, shadow};

fn status() -> Value {
    json!({
        "current_version": "1.19.0", "target_version": "1.20.0", "current_state": "Idle", "crash_count": 0,
        "state_transition_failure_timestamp": null,
    })
}

fn version(site: &Site) -> u64 {
    let version = site.shadow().metadata.resource_version.unwrap();
    version.parse().unwrap()
}

async fn put(site: &Site, request: http::request::Builder, body: &Value) -> Answer {
    let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
    site.send(request.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_shadow_is_created_once_and_then_answered_as_it_is() {
    let site = Site::new().await;
    site.world().objects.remove(SHADOW);
    let created = site.original("POST", NODE_RESOURCE).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["metadata"]["ownerReferences"][0]["uid"], "node-uid");
    assert_eq!(created.body["spec"], json!({"state": "Idle"}));
    let again = site.ours("POST", NODE_RESOURCE).await;
    assert_eq!((again.status, &again.body), (200, &created.body));
    assert_eq!(site.world().writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_shadow_of_a_node_that_had_the_name_before_is_not_shown_and_in_the_way() {
    let site = Site::new().await;
    let mut older = shadow(&json!({"state": "Idle"}));
    older["metadata"]["ownerReferences"][0]["uid"] = "older".into();
    site.world().put(SHADOW, older);
    site.settle().await;
    assert_eq!(site.ours("GET", NODE_RESOURCE).await.refusal(), (404, Reason::NotFound));
    assert_eq!(site.ours("POST", NODE_RESOURCE).await.refusal(), (409, Reason::Conflict));
    let report = put(&site, original("PUT", NODE_RESOURCE), &status()).await;
    assert_eq!(report.refusal(), (404, Reason::NotFound));
    assert!(site.world().writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_read_answers_at_once_with_the_version_as_entity_tag() {
    let site = Site::new().await;
    let answer = site.ours("GET", NODE_RESOURCE).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["metadata"]["name"], "brs-a");
    assert_eq!(answer.headers[ETAG], format!("\"{}\"", version(&site)));
    assert_eq!(site.world().count(SHADOW), 0, "the watch had it");
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_for_something_newer_and_is_woken_by_it() {
    let site = Site::new().await;
    let path = format!("{NODE_RESOURCE}?resourceVersion={}&timeoutSeconds=100", version(&site));
    let begin = Instant::now();
    let change = async {
        sleep(Duration::from_secs(30)).await;
        site.desired(&json!({"version": "1.20.0"}));
    };
    let (answer, ()) = tokio::join!(site.ours("GET", &path), change);
    assert_eq!((answer.status, &answer.body["spec"]["version"]), (200, &json!("1.20.0")));
    assert_eq!(begin.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_has_waited_long_enough_is_304_and_never_older() {
    let site = Site::new().await;
    for known in [version(&site), version(&site) + 1000] {
        let begin = Instant::now();
        let answer = site.ours("GET", &format!("{NODE_RESOURCE}?resourceVersion={known}&timeoutSeconds=20")).await;
        assert_eq!((answer.status, begin.elapsed().as_secs()), (304, 20));
    }
    let older = version(&site) - 1;
    let answer = site.ours("GET", &format!("{NODE_RESOURCE}?resourceVersion={older}&timeoutSeconds=20")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_read_asks_kubernetes_nothing() {
    let site = Site::new().await;
    site.ours("GET", NODE_RESOURCE).await;
    let before = site.world().asked.len();
    let path = format!("{NODE_RESOURCE}?resourceVersion={}&timeoutSeconds=30", version(&site));
    site.ours("GET", &path).await;
    assert_eq!(site.world().asked.len(), before);
}

#[tokio::test(start_paused = true)]
async fn no_cache_reads_what_the_watch_has_not_shown() {
    let site = Site::new().await;
    site.world().watchers = None;
    site.desired(&json!({"version": "1.20.0"}));
    let stale = site.ours("GET", NODE_RESOURCE).await;
    assert_eq!(stale.body["spec"].get("version"), None);
    let request = ours("GET", NODE_RESOURCE).header(CACHE_CONTROL, "no-cache").body(Body::empty());
    let fresh = site.send(request.unwrap()).await;
    assert_eq!(fresh.body["spec"]["version"], "1.20.0");
}

#[tokio::test(start_paused = true)]
async fn waiting_reads_are_answered_when_the_program_ends() {
    let site = Site::new().await;
    let path = format!("{NODE_RESOURCE}?resourceVersion={}&timeoutSeconds=300", version(&site));
    let end = async {
        sleep(Duration::from_secs(5)).await;
        site.app.stop.cancel();
    };
    let begin = Instant::now();
    let (answer, ()) = tokio::join!(site.ours("GET", &path), end);
    assert_eq!((answer.status, begin.elapsed().as_secs()), (304, 5));
}

#[tokio::test(start_paused = true)]
async fn questions_that_make_no_sense_are_400() {
    let site = Site::new().await;
    for query in ["resourceVersion=x", "timeoutSeconds=-1", "resourceVersion=1&resourceVersion=2"] {
        let answer = site.ours("GET", &format!("{NODE_RESOURCE}?{query}")).await;
        assert_eq!(answer.refusal(), (400, Reason::BadRequest), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_replaces_the_agents_fields_and_no_other() {
    let site = Site::new().await;
    let failed = json!({"kind": "Health", "version": "1.20.0", "time": "2026-11-22T09:00:00Z"});
    let mut full = status();
    full["activity"] = "Staging".into();
    full["agent_version"] = "0.1.0".into();
    full["failed"] = json!({"kind": "NoBoot", "version": "1.0.0", "time": "2026-11-22T09:00:00Z"});
    site.world().merge(SHADOW, json!({"status": status()}));
    site.world().merge(SHADOW, json!({"status": {"failed": failed}}));
    assert_eq!(put(&site, ours("PUT", NODE_RESOURCE), &full).await.status, 200);
    let stored = site.shadow().status.unwrap();
    assert_eq!(stored.agent_version.as_deref(), Some("0.1.0"));
    assert_eq!(serde_json::to_value(&stored.failed).unwrap(), failed);
    let answer = put(&site, original("PUT", NODE_RESOURCE), &status()).await;
    assert_eq!((answer.status, &answer.body["current_version"]), (200, &json!("1.19.0")));
    let stored = site.shadow().status.unwrap();
    assert_eq!((stored.activity, stored.agent_version), (None, None));
    assert!(stored.failed.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_conditional_report_is_refused_when_the_shadow_is_newer() {
    let site = Site::new().await;
    let tag = |version: u64| ours("PUT", NODE_RESOURCE).header(IF_MATCH, format!("\"{version}\""));
    let known = version(&site);
    let first = put(&site, tag(known), &status()).await;
    assert_eq!(first.headers[ETAG], format!("\"{}\"", version(&site)));
    let mut late = status();
    late["crash_count"] = 7.into();
    assert_eq!(put(&site, tag(known), &late).await.refusal(), (409, Reason::Conflict));
    assert_eq!(site.shadow().status.unwrap().crash_count, 0);
}

#[tokio::test(start_paused = true)]
async fn an_originals_report_wins_over_a_write_in_between() {
    let site = Site::new().await;
    let site_asked = site.world().asked.len();
    let other = |world: &mut crate::fake::World| world.merge(SHADOW, json!({"spec": {"version": "1.20.0"}}));
    // TokenReview, Node, shadow; then the write.
    site.world().happenings.insert(site_asked + 3, vec![Box::new(other)]);
    let answer = put(&site, original("PUT", NODE_RESOURCE), &status()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(site.world().count("/status"), 2);
    assert!(site.shadow().status.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_report_is_refused_and_not_stored() {
    let site = Site::new().await;
    let with = |key: &str, value: Value| {
        let mut status = status();
        status[key] = value;
        status.to_string()
    };
    let json = "application/json";
    let cases = [
        (json, "{".to_owned(), (400, Reason::BadRequest)),
        (json, "{}".to_owned(), (422, Reason::Invalid)),
        (json, with("current_state", json!("StagedUpdate")), (422, Reason::Invalid)),
        (json, with("current_version", json!("new")), (422, Reason::Invalid)),
        (json, with("crash_count", json!(-1)), (422, Reason::Invalid)),
        (json, with("message", json!("\u{1b}[2Jall is well")), (422, Reason::Invalid)),
        (json, with("message", json!("Staged\nbrs-b  Idle")), (422, Reason::Invalid)),
        (json, with("version_lock", json!("1.20\u{202e}0")), (422, Reason::Invalid)),
        (json, with("message", json!("m".repeat(70_000))), (413, Reason::TooLarge)),
        ("text/plain", status().to_string(), (415, Reason::UnsupportedMediaType)),
    ];
    for (kind, body, refusal) in cases {
        let request = ours("PUT", NODE_RESOURCE).header(CONTENT_TYPE, kind).body(Body::from(body));
        assert_eq!(site.send(request.unwrap()).await.refusal(), refusal);
    }
    let request = ours("PUT", NODE_RESOURCE).body(Body::from(status().to_string())).unwrap();
    assert_eq!(site.send(request).await.refusal(), (415, Reason::UnsupportedMediaType));
    assert!(site.world().writes().is_empty());
}

fn record(site: &Site) -> Option<String> {
    let annotation = site.node()["metadata"]["annotations"][VERSION_LOCK_BEFORE_ANNOTATION].clone();
    annotation.as_str().map(|text| Pin::decode(Some(&text.to_owned())).unwrap().before)
}

fn pinned(lock: Option<&str>) -> Value {
    let mut status = status();
    status["agent_version"] = "0.1.0".into();
    status["version_lock_before"] = lock.into();
    status
}

#[tokio::test(start_paused = true)]
async fn the_lock_before_a_pin_is_on_the_node_before_it_is_in_the_status_and_goes_after_it() {
    let site = Site::new().await;
    let report = async |body: &Value| {
        site.settle().await;
        let status = put(&site, ours("PUT", NODE_RESOURCE), body).await.status;
        site.settle().await;
        status
    };
    assert_eq!(report(&pinned(None)).await, 200);
    assert_eq!(record(&site), None);
    let before = site.world().asked.len();
    assert_eq!(report(&pinned(Some("latest"))).await, 200);
    let desired = |site: &Site, from: usize| -> Vec<String> {
        let world = site.world();
        let writes = world.asked[from..].iter().filter(|asked| asked.starts_with("PATCH"));
        writes.map(|asked| asked.rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!((record(&site).as_deref(), desired(&site, before)), (Some("latest"), vec!["a".into(), "status".into()]));
    // A report that says the same costs no look at the Node, and an original's leaves the record alone.
    let nodes = site.world().count("nodes/a");
    assert_eq!(report(&pinned(Some("latest"))).await, 200);
    assert_eq!(site.world().count("nodes/a"), nodes);
    let before = site.world().asked.len();
    assert_eq!(report(&pinned(None)).await, 200);
    assert_eq!((record(&site), desired(&site, before)), (None, vec!["status".into(), "a".into()]));
    assert_eq!(report(&pinned(Some("1.18.0"))).await, 200);
    assert_eq!(put(&site, original("PUT", NODE_RESOURCE), &status()).await.status, 200);
    assert_eq!(record(&site).as_deref(), Some("1.18.0"));
}

/// A report that is computed from the shadow at this resourceVersion.
async fn report_on(site: &Site, version: u64, body: &Value) -> u16 {
    let request = ours("PUT", NODE_RESOURCE).header(IF_MATCH, format!("\"{version}\""));
    let status = put(site, request, body).await.status;
    site.settle().await;
    status
}

#[tokio::test(start_paused = true)]
async fn a_late_duplicate_of_a_pin_leaves_no_record_however_old_the_cache() {
    for watch_lags in [false, true] {
        let site = Site::new().await;
        assert_eq!(report_on(&site, version(&site), &pinned(None)).await, 200);
        let at_pin = version(&site);
        if watch_lags {
            site.world().watchers = None;
        }
        assert_eq!(report_on(&site, at_pin, &pinned(Some("latest"))).await, 200);
        assert_eq!(report_on(&site, version(&site), &pinned(None)).await, 200);
        assert_eq!(record(&site), None, "restored; watch lags: {watch_lags}");
        let before = site.world().writes().len();
        assert_eq!(report_on(&site, at_pin, &pinned(Some("latest"))).await, 409);
        assert_eq!((record(&site), site.world().writes().len()), (None, before), "watch lags: {watch_lags}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pin_like_the_one_an_old_cache_shows_is_recorded_again() {
    let site = Site::new().await;
    assert_eq!(report_on(&site, version(&site), &pinned(Some("latest"))).await, 200);
    site.world().watchers = None;
    assert_eq!(report_on(&site, version(&site), &pinned(None)).await, 200);
    assert_eq!(record(&site), None);
    assert_eq!(report_on(&site, version(&site), &pinned(Some("latest"))).await, 200);
    assert_eq!(record(&site).as_deref(), Some("latest"));
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_cannot_be_recorded_is_not_reported_either() {
    let site = Site::new().await;
    assert_eq!(put(&site, ours("PUT", NODE_RESOURCE), &pinned(None)).await.status, 200);
    site.settle().await;
    // The read of the Node, then the outage.
    let from = site.world().asked.len() + 1;
    site.world().happenings.insert(from, vec![Box::new(|world: &mut crate::fake::World| world.outage = true)]);
    let answer = put(&site, ours("PUT", NODE_RESOURCE), &pinned(Some("latest"))).await;
    assert_eq!(answer.refusal(), (503, Reason::Unavailable));
    assert_eq!(site.shadow().status.unwrap().version_lock_before, None);
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_was_lost_during_a_pin_comes_back_with_what_was_there_before() {
    let site = Site::new().await;
    assert_eq!(put(&site, ours("PUT", NODE_RESOURCE), &pinned(Some("latest"))).await.status, 200);
    site.settle().await;
    let lost = site.world().objects.remove(SHADOW).unwrap();
    site.world().show(Event::Delete(serde_json::from_value(lost).unwrap()));
    site.settle().await;
    assert_eq!(site.ours("POST", NODE_RESOURCE).await.status, 201);
    site.settle().await;
    let read = site.ours("GET", NODE_RESOURCE).await;
    let shadow: api::BottlerocketShadow = serde_json::from_value(read.body).unwrap();
    let target = status()["target_version"].as_str().unwrap().to_owned();
    assert_eq!((shadow.pin(), &shadow.status), (Some(Pin { before: "latest".to_owned(), set: target }), &None));
    // The first report counts from then on.
    assert_eq!(put(&site, ours("PUT", NODE_RESOURCE), &pinned(None)).await.status, 200);
    assert_eq!((site.shadow().pin(), record(&site)), (None, None));
}
