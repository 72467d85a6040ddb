//! Paths, methods, headers and counts.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};

use super::rig::{Rig, STATUS};
use crate::host::Command::Refresh;
use crate::host::{CommandCount, Deed, Mangled, Reply};

fn headers(rig: &mut Rig, method: &str, uri: &str) -> (StatusCode, HeaderMap) {
    let answer = rig.reply(method, uri, "").answer().unwrap();
    (answer.status(), answer.headers().clone())
}

#[test]
fn an_unknown_path_and_a_wrong_method_are_an_empty_404() {
    let mut rig = Rig::new();
    for (method, uri) in [
        ("GET", "/nothing"),
        ("GET", "/os/"),
        ("HEAD", "/os"),
        ("POST", "/os"),
        ("POST", STATUS),
        ("GET", "/actions/refresh-updates"),
        ("GET", "/actions/reboot"),
        ("PATCH", "/settings/keypair"),
        ("PUT", "/settings"),
        ("GET", "/metrics"),
    ] {
        assert_eq!(rig.send(method, uri, ""), (StatusCode::NOT_FOUND, String::new()), "{method} {uri}");
        let (_, headers) = headers(&mut rig, method, uri);
        assert_eq!(headers["content-length"], "0", "{method} {uri}");
        assert_eq!(headers.len(), 1, "{method} {uri}");
    }
}

#[test]
fn only_json_has_a_content_type() {
    let mut rig = Rig::new();
    for (method, uri, code, content_type) in [
        ("GET", "/os", 200, Some("application/json")),
        ("GET", STATUS, 404, None),
        ("POST", "/actions/prepare-update", 409, None),
        ("GET", STATUS, 200, Some("application/json")),
        ("POST", "/actions/refresh-updates", 204, None),
        ("GET", STATUS, 423, None),
        ("GET", "/os?prefix=", 400, None),
        ("POST", "/tx/commit", 422, None),
    ] {
        let (status, headers) = headers(&mut rig, method, uri);
        assert_eq!(status, code, "{method} {uri}");
        assert_eq!(headers.get("content-type").map(|value| value.to_str().unwrap()), content_type, "{method} {uri}");
        assert_eq!(headers.contains_key("content-length"), code != 204, "{method} {uri}");
    }
}

#[test]
fn os_is_filtered_by_prefix() {
    let mut rig = Rig::new();
    let whole = rig.get("/os").1;
    for (query, expected) in [
        ("?prefix=version", r#"{"version_id":"1.16.0"}"#),
        ("?prefix=os.version", r#"{"version_id":"1.16.0"}"#),
        ("?prefix=v", r#"{"variant_id":"aws-k8s-1.28","version_id":"1.16.0"}"#),
        ("?prefix=os", whole.as_str()),
        ("?prefix=none", "{}"),
        ("?prefix=osx", "{}"),
    ] {
        assert_eq!(rig.get(&format!("/os{query}")), (StatusCode::OK, expected.to_owned()), "{query}");
    }
    let empty = (StatusCode::BAD_REQUEST, "Input 'prefix' cannot be empty".to_owned());
    assert_eq!(rig.get("/os?prefix="), empty);
}

#[test]
fn the_body_of_an_action_is_ignored() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("POST", Refresh.path(), "{\"never\": [").0, StatusCode::NO_CONTENT);
}

#[test]
fn somebody_else_gets_the_true_answer_and_is_not_counted() {
    let mut rig = Rig::new();
    rig.machine.faults_mut().answers = [("/os".to_owned(), Mangled::HangUp)].into();
    let request = Request::get("/os").body(Bytes::new()).unwrap();
    let answer = rig.machine.foreign_request(&request, rig.now).answer().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(rig.machine.record().counts().total_requests(), 0);
    assert!(matches!(rig.machine.request(&request, rig.now), Reply::HangUp));
}

#[test]
fn requests_on_the_socket_are_counted_and_those_of_others_are_not() {
    let mut rig = Rig::new();
    rig.get("/os?prefix=version");
    rig.get("/os");
    rig.get("/nothing");
    rig.send("POST", "/nowhere", "");
    rig.run(Refresh).perform(Deed::Run(Refresh)).code(Refresh);
    let counts = rig.machine.record().counts();
    let requests: Vec<_> = counts.requests.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(requests, [("GET /os", 2), ("POST /actions/refresh-updates", 2), ("other", 2)]);
    assert_eq!(counts.total_requests(), 6);
    let expected = CommandCount { started: 2, refused: 1, succeeded: 1, ..CommandCount::default() };
    assert_eq!(counts.command(Refresh), expected);
}
