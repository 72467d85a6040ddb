//! A policy as large as its schema allows, from somebody who may write policies.

use std::time::Duration;

use api::UpdatePolicy;
use http::StatusCode;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Map, Value, json};
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
            // No verdict: the honest edits have cut every connection to the webhook, these calls' too.
            Err(kube::Error::Api(status)) if status.message.contains("failed calling webhook") => field.gains.cut(),
            Err(kube::Error::Api(_)) => field.gains.answered(StatusCode::UNPROCESSABLE_ENTITY),
            Err(_) => field.gains.cut(),
        }
        sleep(PAUSE).await;
    }
}

/// Every list as long as it may be, every text nearly so.
fn policy(name: &str) -> Value {
    let labels: Map<_, _> = (0..32).map(|label| (format!("label-{label}"), json!("v".repeat(63)))).collect();
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

fn many(count: usize, make: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..count).map(make).collect()
}

fn window(number: usize) -> Value {
    let minutes: Vec<_> = (0..40).map(|minute| minute.to_string()).collect();
    json!({"start": format!("{} * * * *", minutes.join(",")), "duration": format!("{}m", number + 1)})
}

fn blackout(number: usize) -> Value {
    let (year, reason) = (2027 + number, "r".repeat(200));
    let day = |day: u8| format!("{year}-12-{day}T00:00:00+01:00");
    json!({"start": day(20), "end": day(31), "reason": reason})
}

fn expression(number: usize) -> Value {
    let prefix = vec!["a".repeat(62); 4].join(".");
    let values: Vec<_> = (0..64).map(|value| format!("{value:0>63}")).collect();
    json!({"key": format!("{prefix}/key-{number}"), "operator": "In", "values": values})
}

fn check(number: usize) -> Value {
    let filter: Vec<_> = (0..8).map(|term| format!("@.type=='{term:0>40}'")).collect();
    let path = format!("$.status.conditions[?{}].status", filter.join(" || "));
    let expect: Vec<_> = (0..16).map(|value| format!("{value:0>256}")).collect();
    json!({"name": format!("check-{number}"), "node": {"jsonPath": path, "expect": expect}})
}

fn after(number: usize) -> Value {
    json!({"policy": format!("{}-{number}", "p".repeat(240)), "soak": "24h"})
}

#[cfg(test)]
mod tests {
    use api::Policy;

    use super::*;

    #[test]
    fn the_largest_policy_is_one_that_can_be_followed() {
        let policy: UpdatePolicy = serde_json::from_value(policy("huge")).unwrap();
        Policy::try_from(&policy).unwrap();
    }
}
