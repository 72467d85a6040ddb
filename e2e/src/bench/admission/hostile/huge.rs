//! A policy as large as its schema allows, from somebody who may write policies.

use std::time::Duration;

use api::UpdatePolicy;
use http::StatusCode;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bench::hostile::{Attack, Field};

/// Who write it at the same time, and the pause between two tries of each.
const AUTHORS: usize = 8;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn attack(policies: Api<UpdatePolicy>) -> Attack {
    Attack::new(
        "huge-policy",
        "8 authors create the largest policy that the schema allows, through kube-apiserver",
        move |field| create(field, policies.clone()),
    )
}

async fn create(field: Field, policies: Api<UpdatePolicy>) {
    let mut authors = JoinSet::new();
    for number in 0..AUTHORS {
        authors.spawn(author(field.clone(), policies.clone(), number));
    }
    while authors.join_next().await.is_some() {}
}

async fn author(field: Field, policies: Api<UpdatePolicy>, number: usize) {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let Ok(policy) = serde_json::from_value(policy(&format!("huge-{number}"))) else { return };
    loop {
        field.gains.tried();
        match policies.create(&dry_run, &policy).await {
            Ok(_) => field.gains.answered(StatusCode::CREATED),
            Err(kube::Error::Api(_)) => field.gains.answered(StatusCode::UNPROCESSABLE_ENTITY),
            Err(_) => field.gains.cut(),
        }
        sleep(PAUSE).await;
    }
}

/// Every list as long as it may be, every text nearly so.
fn policy(name: &str) -> Value {
    let minutes = (0..60).map(|minute| minute.to_string()).collect::<Vec<_>>().join(",");
    let window = |number: usize| {
        let start: String = format!("{minutes} * * * *").chars().take(128).collect();
        let start = if start.ends_with('*') { start } else { format!("{} * * * *", &minutes[..100]) };
        json!({"start": start, "duration": format!("{}m", number + 1)})
    };
    let blackout = |number: usize| {
        let year = 2027 + number;
        json!({"start": format!("{year}-12-20T00:00:00+01:00"), "end": format!("{year}-12-31T00:00:00+01:00"), "reason": "r".repeat(200)})
    };
    let expression = |number: usize| {
        let values: Vec<_> = (0..64).map(|value| format!("{value:0>63}")).collect();
        json!({"key": format!("{}/key-{number}", "a".repeat(200)), "operator": "In", "values": values})
    };
    let check = |number: usize| {
        let filter = (0..20).map(|term| format!("@.type=='Condition{term:02}'")).collect::<Vec<_>>().join(" || ");
        let path = format!("$.status.conditions[?{filter}].status");
        let expect: Vec<_> = (0..16).map(|value| format!("{value:0>256}")).collect();
        json!({"name": format!("check-{number}"), "node": {"jsonPath": path, "expect": expect}})
    };
    let after = |number: usize| json!({"policy": format!("{}-{number}", "p".repeat(240)), "soak": "24h"});
    fn many(count: usize, make: impl Fn(usize) -> Value) -> Vec<Value> {
        (0..count).map(make).collect()
    }
    let labels: serde_json::Map<_, _> =
        (0..32).map(|label| (format!("label-{label}"), json!("v".repeat(63)))).collect();
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "metadata": {"name": name},
        "spec": {
            "nodeSelector": {"matchLabels": labels, "matchExpressions": many(16, expression)},
            "schedule": {"timeZone": "Europe/Berlin", "windows": many(32, window), "blackouts": many(64, blackout)},
            "versions": {"constraint": ">=1.0.0, <9.0.0", "after": many(16, after)},
            "health": {"checks": many(16, check)},
        },
    })
}
