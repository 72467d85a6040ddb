//! The requests byte for byte, against what was captured from the v1.4.0 program.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::original::shadow::State;

/// What goes over a connection for one call. The tests' port is the captured one.
async fn sent(call: &Call) -> String {
    let selector = Selector { name: "node-00000".to_owned(), uid: "uid-node-00000".to_owned() };
    let request = call.request(&selector, b"<token>", 8443).unwrap();
    let (near, mut far) = tokio::io::duplex(8 << 10);
    let answer = async {
        let mut bytes = vec![0; 8 << 10];
        let length = far.read(&mut bytes).await.unwrap();
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        bytes.truncate(length);
        drop(far);
        String::from_utf8(bytes).unwrap()
    };
    let (answered, sent) = tokio::join!(exchange(near, request), answer);
    assert!(answered.unwrap().status().is_success());
    sent
}

fn expected(line: &str, content_type: bool, body: Option<&str>) -> String {
    let mut text = format!("{line} HTTP/1.1\r\n");
    text += "brupopnodeuid: uid-node-00000\r\n";
    text += "brupopnodename: node-00000\r\n";
    text += "brupopk8sauthtoken: <token>\r\n";
    if content_type {
        text += "content-type: application/json\r\n";
    }
    text += "accept: */*\r\n";
    text += "host: brupop-apiserver.brupop-bottlerocket-aws.svc.cluster.local:8443\r\n";
    if let Some(body) = body {
        text += &format!("content-length: {}\r\n\r\n{body}", body.len());
    } else {
        text += "\r\n";
    }
    text
}

#[tokio::test]
async fn a_creation_is_what_was_captured() {
    let captured = "POST /bottlerocket-node-resource HTTP/1.1\r\n\
        brupopnodeuid: uid-node-00000\r\n\
        brupopnodename: node-00000\r\n\
        brupopk8sauthtoken: <token>\r\n\
        content-type: application/json\r\n\
        accept: */*\r\n\
        host: brupop-apiserver.brupop-bottlerocket-aws.svc.cluster.local:8443\r\n\
        content-length: 72\r\n\
        \r\n\
        {\"node_selector\":{\"node_name\":\"node-00000\",\"node_uid\":\"uid-node-00000\"}}";
    let selector = Selector { name: "node-00000".to_owned(), uid: "uid-node-00000".to_owned() };
    assert_eq!(sent(&Call::create(&selector)).await, captured);
}

#[tokio::test]
async fn a_report_is_the_bare_status() {
    let status = Status {
        current_version: "1.19.0".to_owned(),
        target_version: "1.20.0".to_owned(),
        current_state: State::Idle,
        crash_count: 0,
        state_transition_failure_timestamp: None,
    };
    let body = "{\"current_version\":\"1.19.0\",\"target_version\":\"1.20.0\",\"current_state\":\"Idle\",\
                \"crash_count\":0,\"state_transition_failure_timestamp\":null}";
    let expected = expected("PUT /bottlerocket-node-resource", true, Some(body));
    assert_eq!(sent(&Call::report(&status).unwrap()).await, expected);
}

#[tokio::test]
async fn the_other_four_have_no_body() {
    for path in ["cordon-and-drain", "uncordon", "exclude-from-lb", "remove-exclusion-from-lb"] {
        let expected = expected(&format!("POST /bottlerocket-node-resource/{path}"), false, None);
        assert_eq!(sent(&Call::bare(path)).await, expected);
    }
}

#[test]
fn the_captured_answers_are_understood() {
    let created = r#"{"apiVersion":"brupop.bottlerocket.aws/v2","kind":"BottlerocketShadow","metadata":{"name":"brs-node-00000","ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"node-00000","uid":"uid-node-00000"}]},"spec":{"state":"Idle","state_transition_timestamp":null,"version":null}}"#;
    parse::<Created>(&Bytes::from_static(created.as_bytes())).unwrap();
    let reported = r#"{"crash_count":0,"current_state":"Idle","current_version":"1.19.0","state_transition_failure_timestamp":null,"target_version":"1.20.0"}"#;
    parse::<Status>(&Bytes::from_static(reported.as_bytes())).unwrap();
}
