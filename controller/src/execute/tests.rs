//! Withdrawing an approval, answer by answer.

use api::record::ApprovalId;
use api::shadow::Desired;
use api::{BottlerocketShadow, DisruptionRecord, State, names};
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use semver::Version;
use serde_json::{Value, json};
use tower_test::mock::{Handle, pair};

use super::*;

type Server = Handle<Request<Body>, Response<Body>>;

const SHADOW: &str = "/apis/brupop.bottlerocket.aws/v2/namespaces/ns/bottlerocketshadows/brs-a";
const NODE: &str = "/api/v1/nodes/a";
const SINCE: &str = "2026-11-22T01:50:00Z";
const NOW: &str = "2026-11-22T02:00:00Z";

fn start() -> (Writer, Server) {
    let (service, server) = pair::<Request<Body>, Response<Body>>();
    (Writer::new(&Client::new(service, "default"), "ns"), server)
}

/// Takes one request and answers it; says what it was and what it carried.
async fn serve(server: &mut Server, code: u16, answer: Value) -> (Method, String, Value) {
    let (request, send) = server.next_request().await.unwrap();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body = request.into_body().collect_bytes().await.unwrap();
    let answer = serde_json::to_vec(&answer).unwrap();
    send.send_response(Response::builder().status(code).body(Body::from(answer)).unwrap());
    (method, path, serde_json::from_slice(&body).unwrap_or_default())
}

/// The approval, at its state since [`SINCE`].
fn approval() -> Desired {
    Desired {
        state: State::RebootedIntoUpdate,
        since: Some(SINCE.parse().unwrap()),
        version: Some(Version::new(1, 20, 0)),
        policy: Some("default".to_owned()),
        disrupt_not_after: Some("2026-11-22T02:08:00Z".parse().unwrap()),
        ..Desired::default()
    }
}

fn withdrawn() -> Desired {
    let since = Some(NOW.parse().unwrap());
    Desired { state: State::StagedAndPerformedUpdate, since, disrupt_not_after: None, ..approval() }
}

fn withdrawal() -> Action {
    Action {
        verb: Verb::Withdraw,
        node: "a".to_owned(),
        shadow: "brs-a".to_owned(),
        uid: "u".to_owned(),
        resource_version: "5".to_owned(),
        before: approval(),
        desired: withdrawn(),
    }
}

fn shadow(version: &str, desired: &Desired) -> Value {
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v2",
        "kind": "BottlerocketShadow",
        "metadata": {
            "name": "brs-a", "namespace": "ns", "uid": "u", "resourceVersion": version,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "n"}],
        },
        "spec": crate::action::stored(desired),
    })
}

/// The Node, with the record of the approval or without any.
fn node(recorded: bool) -> Value {
    let approval = ApprovalId { version: Version::new(1, 20, 0), since: SINCE.parse().unwrap() };
    let record = DisruptionRecord::first(approval, NOW.parse().unwrap(), false, None);
    let annotations = if recorded { json!({names::DISRUPTION_RECORD_ANNOTATION: record.encode()}) } else { json!({}) };
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "uid": "n", "annotations": annotations}})
}

fn failure(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": reason,
    })
}

/// Whether the request reinstates the very approval on top of `version`.
fn assert_reinstates((method, path, body): &(Method, String, Value), version: &str) {
    assert_eq!((method, path.as_str()), (&Method::PATCH, SHADOW));
    assert_eq!(body["metadata"]["resourceVersion"], version);
    assert_eq!(body["spec"]["state"], "RebootedIntoUpdate");
    assert_eq!(body["spec"]["state_transition_timestamp"], SINCE);
}

fn is_stored(outcome: Option<&Outcome>, version: &str, state: State) -> bool {
    let stored = |object: &BottlerocketShadow| {
        object.metadata.resource_version.as_deref() == Some(version) && object.spec.state == state
    };
    matches!(outcome, Some(Outcome::Stored(object)) if stored(object))
}

/// Runs the withdrawal against `script`: the code and body of each answer. Says how it ended and what was asked.
async fn withdraw(script: Vec<(u16, Value)>) -> (Executed, Vec<(Method, String, Value)>) {
    let (writer, mut server) = start();
    let running = tokio::spawn(async move { one(&writer, withdrawal()).await });
    let mut asked = Vec::new();
    for (code, answer) in script {
        asked.push(serve(&mut server, code, answer).await);
    }
    (running.await.unwrap(), asked)
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_was_not_used_is_withdrawn() {
    let (done, asked) = withdraw(vec![(200, shadow("6", &withdrawn())), (200, node(false))]).await;
    assert_eq!((&asked[1].0, asked[1].1.as_str()), (&Method::GET, NODE));
    assert!(is_stored(done.outcome.as_ref(), "6", State::StagedAndPerformedUpdate));
    assert!(done.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_approval_whose_record_is_found_is_reinstated() {
    let (done, asked) =
        withdraw(vec![(200, shadow("6", &withdrawn())), (200, node(true)), (200, shadow("7", &approval()))]).await;
    assert_reinstates(&asked[2], "6");
    assert!(is_stored(done.outcome.as_ref(), "7", State::RebootedIntoUpdate));
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_about_the_node_the_outcome_is_unknown() {
    for refused in [failure(500, "InternalError"), failure(403, "Forbidden"), failure(429, "TooManyRequests")] {
        let code = u16::try_from(refused["code"].as_u64().unwrap()).unwrap();
        let (done, _) = withdraw(vec![(200, shadow("6", &withdrawn())), (code, refused)]).await;
        assert!(matches!(done.outcome, Some(Outcome::Unknown(action)) if *action == withdrawal()), "{code}");
        assert!(matches!(done.error, Some(WriteError::Unknown(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_back_that_conflicts_is_tried_once_more_on_what_is_stored() {
    let (done, asked) = withdraw(vec![
        (200, shadow("6", &withdrawn())),
        (200, node(true)),
        (409, failure(409, "Conflict")),
        (200, shadow("8", &withdrawn())),
        (200, shadow("9", &approval())),
    ])
    .await;
    assert_eq!((&asked[3].0, asked[3].1.as_str()), (&Method::GET, SHADOW));
    assert_reinstates(&asked[4], "8");
    assert!(is_stored(done.outcome.as_ref(), "9", State::RebootedIntoUpdate));
}

#[tokio::test(start_paused = true)]
async fn a_put_back_that_is_refused_leaves_the_outcome_unknown() {
    let conflict = || (409, failure(409, "Conflict"));
    let begun = || vec![(200, shadow("6", &withdrawn())), (200, node(true))];
    let again = || (200, shadow("8", &withdrawn()));
    for refused in [
        vec![conflict(), again(), conflict()],
        vec![conflict(), (500, failure(500, "InternalError"))],
        vec![(422, failure(422, "Invalid"))],
    ] {
        let (done, _) = withdraw([begun(), refused].concat()).await;
        assert!(matches!(done.outcome, Some(Outcome::Unknown(_))));
    }
}

/// Settles the withdrawal against `script`.
async fn settle_by(script: Vec<(u16, Value)>) -> (Result<Outcome, WriteError>, Vec<(Method, String, Value)>) {
    let (writer, mut server) = start();
    let running = tokio::spawn(async move { settle(&writer, &withdrawal()).await });
    let mut asked = Vec::new();
    for (code, answer) in script {
        asked.push(serve(&mut server, code, answer).await);
    }
    (running.await.unwrap(), asked)
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_unknown_until_shadow_and_node_have_been_read() {
    let (writer, mut server) = start();
    let running = tokio::spawn(async move { one(&writer, withdrawal()).await });
    let _never_answered = server.next_request().await.unwrap();
    let sent = Instant::now();
    let done = running.await.unwrap();
    assert!(matches!(done.outcome, Some(Outcome::Unknown(_))), "no answer within the deadline");
    assert!(done.settle_from >= sent + WRITE_DEADLINE);

    let (outcome, _) = settle_by(vec![(500, failure(500, "InternalError"))]).await;
    assert!(matches!(outcome, Err(WriteError::Unknown(_))));
    let (outcome, _) = settle_by(vec![(200, shadow("6", &withdrawn())), (500, failure(500, "InternalError"))]).await;
    assert!(matches!(outcome, Err(WriteError::Unknown(_))), "the shadow alone settles nothing");
    let (outcome, _) = settle_by(vec![(200, shadow("6", &withdrawn())), (200, node(false))]).await;
    assert!(is_stored(outcome.ok().as_ref(), "6", State::StagedAndPerformedUpdate));
}

#[tokio::test(start_paused = true)]
async fn settling_reinstates_a_used_approval() {
    let (outcome, asked) =
        settle_by(vec![(200, shadow("6", &withdrawn())), (200, node(true)), (200, shadow("7", &approval()))]).await;
    assert_reinstates(&asked[2], "6");
    assert!(is_stored(outcome.ok().as_ref(), "7", State::RebootedIntoUpdate));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_that_was_not_stored_or_is_gone_needs_no_node() {
    let (outcome, _) = settle_by(vec![(200, shadow("5", &approval()))]).await;
    assert!(is_stored(outcome.ok().as_ref(), "5", State::RebootedIntoUpdate));
    let (outcome, _) = settle_by(vec![(404, failure(404, "NotFound"))]).await;
    assert!(matches!(outcome, Ok(Outcome::Gone)));
}

#[tokio::test(start_paused = true)]
async fn an_early_error_is_not_settled_before_the_write_can_take_no_effect() {
    let began = Instant::now();
    let (done, _) = withdraw(vec![(500, failure(500, "InternalError"))]).await;
    assert!(matches!(done.outcome, Some(Outcome::Unknown(_))));
    assert!(done.settle_from >= began + WRITE_DEADLINE);
}
