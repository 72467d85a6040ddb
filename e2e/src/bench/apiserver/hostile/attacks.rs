//! What is done to the apiserver.

use std::time::Duration;

use api::wire::{AGENT_VERSION_HEADER, CORDON_AND_DRAIN, NODE_NAME_HEADER, NODE_RESOURCE, PING, TOKEN_HEADER};
use bytes::Bytes;
use http::{Method, Request};

use super::super::site::Caller;
use super::tokens::{Claims, malformed};
use crate::bench::hostile::{Ask, Attack, Body, Field, Shape, ask, connections, reset};

/// Just below the largest body that is read.
const BODY: usize = (64 << 10) - 1;
/// What a client may have of an answer by itself.
const WINDOW: u32 = 65_535;
/// Sixty connections from one address, a hundred streams on each.
const SIXTY: Shape =
    Shape { connections: 60, addresses: 1, streams: 100, pause: Duration::from_secs(5), window: WINDOW };
/// A thousand requests a second from one address, also where answers are late.
const FLOOD: Shape =
    Shape { connections: 40, addresses: 1, streams: 100, pause: Duration::from_secs(4), window: WINDOW };

pub(super) fn all(stolen: &Caller) -> Vec<Attack> {
    let mut all = connections();
    all.extend(requests());
    all.extend(tokens(stolen));
    all
}

fn requests() -> Vec<Attack> {
    let spread = Shape { addresses: 60, ..SIXTY };
    let no_window = Shape { window: 0, ..SIXTY };
    let many = Shape { pause: Duration::from_secs(4), ..SIXTY };
    vec![
        Attack::new(
            "bodies",
            "60 connections x 100 streams from one address, each a body of 64 KiB without end",
            |field| ask(field, SIXTY, body),
        ),
        Attack::new("bodies-spread", "the same from 60 addresses", move |field| ask(field, spread, body)),
        Attack::new(
            "headers",
            "60 connections x 100 streams, each 15 KiB of headers and a body that never comes",
            |field| ask(field, SIXTY, headers),
        ),
        Attack::new("slow-readers", "60 connections x 100 streams that take no byte of an answer", move |field| {
            ask(field, no_window, || Ok(Ask { head: Request::get(uri(PING)).body(())?, body: Body::None }))
        }),
        Attack::new("streams", "60 connections x 100 streams without a token, 1,500 requests a second", move |field| {
            ask(field, many, || Ok(Ask { head: Request::get(uri(NODE_RESOURCE)).body(())?, body: Body::None }))
        }),
        Attack::new("resets", "8 connections of requests that are reset at once, 8,000 a second", |field| {
            reset(field, 8, || {
                let mut request = Request::new(());
                *request.uri_mut() = http::Uri::from_static("https://brupop-apiserver/bottlerocket-node-resource");
                request
            })
        }),
    ]
}

fn tokens(stolen: &Caller) -> Vec<Attack> {
    let (token, node) = (stolen.token.clone(), stolen.node.clone());
    let claims = Claims::of(&token).ok();
    let unsigned = move |shape: Shape| {
        let (claims, node) = (claims.clone(), node.clone());
        move |field: Field| {
            let (claims, node) = (claims.clone(), node.clone());
            ask(field, shape, move || {
                let token = claims.as_ref().map(Claims::unsigned).unwrap_or_default();
                read(&node, &token)
            })
        }
    };
    let (spread, node) = (Shape { addresses: 16, ..FLOOD }, stolen.node.clone());
    vec![
        Attack::new(
            "tokens-malformed",
            "1,000 requests a second from one address, each with text that is no token",
            |field| ask(field, FLOOD, || read("node-1", &malformed())),
        ),
        Attack::new(
            "tokens-unsigned",
            "the same with the claims of a real token and a made-up signature",
            unsigned(FLOOD),
        ),
        Attack::new("tokens-spread", "the same from 16 addresses", unsigned(spread)),
        Attack::new("stolen-token", "bodies without end as above, with the token of an agent", move |field| {
            let (token, node) = (token.clone(), node.clone());
            ask(field, SIXTY, move || endless(&node, &token))
        }),
    ]
}

fn uri(path: &str) -> String {
    format!("https://brupop-apiserver{path}")
}

fn read(node: &str, token: &str) -> anyhow::Result<Ask> {
    let head = Request::get(uri(NODE_RESOURCE)).header(NODE_NAME_HEADER, node).header(TOKEN_HEADER, token);
    Ok(Ask { head: head.header(AGENT_VERSION_HEADER, "0.1.0").body(())?, body: Body::None })
}

fn body() -> anyhow::Result<Ask> {
    endless("node-1", "made-up")
}

fn endless(node: &str, token: &str) -> anyhow::Result<Ask> {
    static TEXT: [u8; BODY] = [b' '; BODY];
    // A route that wants no body reads it away all the same; a report's is read for itself.
    let (method, path) = if fastrand::bool() { (Method::POST, CORDON_AND_DRAIN) } else { (Method::PUT, NODE_RESOURCE) };
    let head = Request::builder().method(method).uri(uri(path));
    let head = head.header(NODE_NAME_HEADER, node).header(TOKEN_HEADER, token);
    let head = head.header(AGENT_VERSION_HEADER, "0.1.0").header("content-type", "application/json");
    Ok(Ask { head: head.body(())?, body: Body::Endless(Bytes::from_static(&TEXT), 8, Duration::from_millis(250)) })
}

fn headers() -> anyhow::Result<Ask> {
    let mut head = Request::put(uri(NODE_RESOURCE)).header(NODE_NAME_HEADER, "node-1").header(TOKEN_HEADER, "made-up");
    // Few bytes on the wire from the second request on: HPACK remembers them.
    for number in 0..4 {
        head = head.header(format!("x-filler-{number}"), "a".repeat(3_700));
    }
    Ok(Ask { head: head.body(())?, body: Body::Endless(Bytes::new(), 1, Duration::ZERO) })
}
