//! Settings and transactions over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};

use super::rig::{Rig, version};
use crate::host::Command::Refresh;
use crate::host::{Deed, UpdateState, Updates};

const LOCK: &str = r#"{"updates":{"version-lock":"1.17.0"}}"#;

#[test]
fn settings_are_read_whole_or_by_prefix_or_by_key() {
    let mut rig = Rig::new();
    rig.perform(Deed::set(Updates { seed: Some(7), ..Updates::default() }));
    let updates = concat!(
        r#""updates":{"metadata-base-url":"https://updates.invalid/metadata/","#,
        r#""targets-base-url":"https://updates.invalid/targets/","#,
        r#""seed":7,"version-lock":"latest","ignore-waves":false}"#
    );
    let whole = format!(r#"{{"motd":"Welcome to Bottlerocket!",{updates}}}"#);
    let only_updates = format!("{{{updates}}}");
    for (query, expected) in [
        ("", whole.as_str()),
        ("?prefix=settings", &whole),
        ("?prefix=settings.", &whole),
        ("?prefix=settings.updates", &only_updates),
        ("?prefix=updates", &only_updates),
        ("?prefix=updates.see", r#"{"updates":{"seed":7}}"#),
        ("?prefix=nothing", "{}"),
        ("?prefix=settingsx", "{}"),
        (
            "?keys=settings.updates.version-lock,settings.updates.seed,settings.none",
            r#"{"updates":{"seed":7,"version-lock":"latest"}}"#,
        ),
        ("?keys=settings.updates%2Eseed", r#"{"updates":{"seed":7}}"#),
        ("?keys=updates.seed", "{}"),
    ] {
        assert_eq!(rig.get(&format!("/settings{query}")), (StatusCode::OK, expected.to_owned()), "{query}");
    }
    for (query, name) in [("?prefix=", "prefix"), ("?keys=", "keys")] {
        let empty = (StatusCode::BAD_REQUEST, format!("Input '{name}' cannot be empty"));
        assert_eq!(rig.get(&format!("/settings{query}")), empty, "{query}");
    }
}

#[test]
fn a_transaction_is_patched_listed_read_and_committed() {
    let mut rig = Rig::new();
    let none = (StatusCode::NO_CONTENT, String::new());
    let ok = |body: &str| (StatusCode::OK, body.to_owned());
    assert_eq!(rig.send("PATCH", "/settings?tx=mine", LOCK), none);
    assert_eq!(rig.send("PATCH", "/settings", r#"{"motd":"hi"}"#), none);
    assert_eq!(rig.get("/tx/list"), ok(r#"["default","mine"]"#));
    assert_eq!(rig.get("/tx?tx=mine"), ok(LOCK));
    assert_eq!(rig.get("/tx?tx=other"), ok("{}"));
    assert_eq!(rig.send("DELETE", "/tx", ""), ok(r#"["settings.motd"]"#));
    assert_eq!(rig.send("DELETE", "/tx", ""), ok("[]"));
    let committed = ok(r#"["settings.updates.version-lock"]"#);
    assert_eq!(rig.send("POST", "/tx/commit_and_apply?tx=mine", ""), committed);
    let nothing = (StatusCode::UNPROCESSABLE_ENTITY, "Tried to commit with no pending changes".to_owned());
    assert_eq!(rig.send("POST", "/tx/commit_and_apply?tx=mine", ""), nothing);
    assert_eq!(rig.send("POST", "/tx/commit", ""), nothing);
    assert_eq!(rig.get("/tx/list"), ok("[]"));
}

#[test]
fn a_committed_lock_takes_effect_when_it_has_been_rendered() {
    for (commit, apply) in
        [("commit_and_apply", None), ("commit", Some("apply")), ("commit", Some("apply?keys=settings.updates.seed"))]
    {
        let mut rig = Rig::new();
        rig.repository.publish(crate::host::Release::new(version(18)));
        rig.send("PATCH", "/settings?tx=mine", LOCK);
        assert_eq!(rig.send("POST", &format!("/tx/{commit}?tx=mine"), "").0, StatusCode::OK);
        if let Some(apply) = apply {
            rig.settle().run(Refresh);
            assert_eq!(rig.status().chosen_update.as_ref().unwrap().version, version(18), "not applied");
            assert_eq!(rig.send("POST", &format!("/tx/{apply}"), "").0, StatusCode::NO_CONTENT);
        }
        assert_eq!(rig.get("/settings?keys=settings.updates.version-lock").1, LOCK);
        rig.pass(Duration::from_millis(49));
        assert_eq!(rig.machine.datastore().rendered().version_lock.as_ref().unwrap().version(), None);
        rig.pass(Duration::from_millis(11)).run(Refresh);
        assert_eq!(rig.status().chosen_update.as_ref().unwrap().version, version(17), "{commit}");
    }
}

#[test]
fn a_lock_on_the_running_or_an_unknown_version_chooses_nothing() {
    for lock in ["1.16.0", "v1.16.0", "1.99.0"] {
        let mut rig = Rig::new();
        rig.perform(Deed::lock(lock).unwrap()).settle().run(Refresh);
        assert_eq!((rig.state(), &rig.status().chosen_update), (UpdateState::Idle, &None), "{lock}");
    }
}

#[test]
fn a_patch_that_is_not_settings_is_refused_with_a_reason() {
    let mut rig = Rig::new();
    for (body, reason) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        (r#"{"updates":{"lock":1}}"#, "unknown field `lock`"),
        (r#"{"settings":{}}"#, "unknown field `settings`"),
        (
            r#"{"updates":{"version-lock":"1.0"}}"#,
            "Unable to deserialize into FriendlyVersion: Invalid version string '1.0'",
        ),
        (r#"{"updates":{"seed":-1}}"#, "invalid value: integer `-1`, expected u32"),
    ] {
        let (code, words) = rig.send("PATCH", "/settings", body);
        assert_eq!(code, StatusCode::BAD_REQUEST, "{body}");
        assert!(words.starts_with(&format!("Json deserialize error: {reason}")), "{words}");
    }
    assert_eq!(rig.get("/tx/list").1, "[]");
}

#[test]
fn a_patch_needs_the_content_type_of_json() {
    let mut rig = Rig::new();
    for (content_type, accepted) in [
        (None, false),
        (Some("text/plain"), false),
        (Some("application/json"), true),
        (Some("Application/JSON; charset=utf-8"), true),
        (Some("application/merge-patch+json"), true),
    ] {
        let mut request = Request::patch("/settings");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Bytes::from_static(LOCK.as_bytes())).unwrap();
        let answer = rig.machine.request(&request, rig.now).answer().unwrap();
        let (expected, words) = if accepted { (204, "") } else { (400, "Content type error") };
        assert_eq!(answer.status(), expected, "{content_type:?}");
        assert_eq!(answer.body(), words, "{content_type:?}");
        if !accepted {
            assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        }
    }
}

#[test]
fn open_transactions_end_with_the_boot() {
    let mut rig = Rig::new();
    rig.send("PATCH", "/settings?tx=mine", LOCK);
    rig.perform(Deed::PowerCycle).settle();
    assert_eq!(rig.get("/tx/list").1, "[]");
    // What was committed is rendered before the API answers.
    rig.send("PATCH", "/settings?tx=mine", LOCK);
    rig.send("POST", "/tx/commit_and_apply?tx=mine", "");
    rig.perform(Deed::PowerCycle).settle();
    assert_eq!(rig.machine.datastore().rendered().version_lock.as_ref().unwrap().version(), Some(version(17)));
}
