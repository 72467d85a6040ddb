//! What is done to the webhook.

use std::time::Duration;

use anyhow::Context;
use api::UpdatePolicy;
use bytes::Bytes;
use http::Request;
use kube::Api;
use serde_json::{Value, json};

use super::super::calls::review;
use super::huge;
use crate::bench::hostile::{Ask, Attack, Body, Field, Shape, ask, connections, reset};

/// What an update of an object carries at most: two objects of 1.5 MiB, which is etcd's limit.
const LARGE: usize = 3 << 20;
const WINDOW: u32 = 65_535;
/// One connection with a hundred streams.
const ONE: Shape =
    Shape { connections: 1, addresses: 1, streams: 100, pause: Duration::from_millis(500), window: WINDOW };
const MANY: Shape = Shape { connections: 16, addresses: 8, ..ONE };

/// The attacks, with reviews of a policy that is stored.
pub(super) async fn all(policies: &Api<UpdatePolicy>) -> anyhow::Result<Vec<Attack>> {
    let stored = policies.list(&kube::api::ListParams::default()).await?.items.into_iter().next();
    let stored = serde_json::to_value(stored.context("no policies")?)?;
    let mut all = connections();
    all.push(resets());
    all.extend(reviews(&stored)?);
    all.push(huge::attack(policies.clone()));
    Ok(all)
}

/// Requests that are given up at once.
fn resets() -> Attack {
    Attack::new("resets", "8 connections of requests that are reset at once, 8,000 a second", |field| {
        reset(field, 8, || {
            let mut request = Request::new(());
            *request.method_mut() = http::Method::POST;
            *request.uri_mut() = http::Uri::from_static("https://webhook/validate");
            request
        })
    })
}

fn reviews(stored: &Value) -> anyhow::Result<Vec<Attack>> {
    let of = |spoil: &dyn Fn(&mut Value)| -> anyhow::Result<Bytes> {
        let mut new = stored.clone();
        spoil(&mut new);
        Ok(review(&new, stored)?.into_body().into())
    };
    let large = of(&|new| new["metadata"]["annotations"] = json!({"filler": "a".repeat(LARGE)}))?;
    // Three bytes of text for each value of several tens of bytes.
    let wide = of(&|new| new["spec"]["filler"] = json!(vec![Value::Array(Vec::new()); LARGE / 3]))?;
    // Of those that a parser with backtracking reads for half a minute.
    let path = format!("$[?{}", "length(".repeat(14));
    let check = json!([{"name": "costly", "node": {"jsonPath": path, "expect": ["1"]}}]);
    let costly = of(&move |new| new["spec"]["health"] = json!({"checks": check}))?;
    let deep = Bytes::from(vec![b'['; LARGE]);
    let slow = Shape { connections: 60, pause: Duration::from_secs(5), ..ONE };
    let whole = |text: &Bytes, shape| {
        let text = text.clone();
        move |field: Field| {
            let text = text.clone();
            ask(field, shape, move || post(Body::Whole(text.clone())))
        }
    };
    let part = large.slice(..1 << 20);
    Ok(vec![
        Attack::new("reviews", "100 reviews of 3 MiB at a time on one connection", whole(&large, ONE)),
        Attack::new("reviews-spread", "the same on 16 connections from 8 addresses", whole(&large, MANY)),
        Attack::new(
            "slow-reviews",
            "60 connections x 100 streams from one address, each 1 MiB of a review without end",
            move |field| {
                let part = part.clone();
                ask(field, slow, move || post(Body::Endless(part.clone(), 8, Duration::from_millis(250))))
            },
        ),
        Attack::new("deep-json", "100 bodies of 3 MiB at a time, all of it opening brackets", whole(&deep, ONE)),
        Attack::new("wide-json", "100 reviews of 3 MiB at a time, of a million empty lists", whole(&wide, ONE)),
        Attack::new("costly-path", "100 reviews at a time of a JSONPath of nested functions", whole(&costly, ONE)),
    ])
}

fn post(body: Body) -> anyhow::Result<Ask> {
    let head = Request::post("https://webhook/validate").header("content-type", "application/json");
    Ok(Ask { head: head.body(())?, body })
}
