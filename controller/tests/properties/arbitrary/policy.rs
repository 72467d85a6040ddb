//! Policies that say something of everything.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::rare;

/// A policy; where it promotes, `other` goes before it.
pub(super) fn policy(other: &'static str) -> impl Strategy<Value = Value> {
    let whose =
        (select(vec![json!({}), json!({"matchLabels": {"pool": "blue"}})]), prop::bool::weighted(0.2), 0..2_i32);
    let limits = (amount(), option::weighted(0.3, unavailable()), prop::bool::weighted(0.3), failures());
    let when = (schedule(), versions(other));
    let how = (health(), drain(), option::weighted(0.2, 1..90_i32));
    (whose, limits, when, how).prop_map(
        |((selector, paused, priority), (limit, unavailable, by_zone, failures), (schedule, versions), how)| {
            let (health, drain, wait) = how;
            json!({
                "nodeSelector": selector, "paused": paused, "priority": priority, "maxConcurrentUpdates": limit,
                "maxUnavailable": unavailable, "topologyKey": by_zone.then_some("zone"), "schedule": schedule,
                "versions": versions, "health": health, "failures": failures, "drain": drain,
                "loadBalancerExclusion": wait.map(|seconds| json!({"waitSeconds": seconds})),
            })
        },
    )
}

fn amount() -> impl Strategy<Value = Value> {
    prop_oneof![(1..4_i32).prop_map(|n| json!(n)), Just(json!("40%")), Just(json!("unlimited"))]
}

fn unavailable() -> impl Strategy<Value = Value> {
    prop_oneof![(1..5_i32).prop_map(|n| json!(n)), Just(json!("60%"))]
}

/// None, one that is open now, one that is closed now and opens later, one that never opens again, one with a blackout, and one that
/// cannot be read.
fn schedule() -> impl Strategy<Value = Value> {
    let window = |start: &str| json!({"windows": [{"start": start, "duration": "2h"}]});
    let freeze = |start: &str, end: &str| json!({"blackouts": [{"start": start, "end": end, "reason": "freeze"}]});
    let schedules = vec![
        (8, Value::Null),
        (3, window("0 1 * * *")),
        (2, window("0 4 * * *")),
        (1, json!({"timeZone": "Europe/Berlin", "windows": [{"start": "30 2 * * SUN", "duration": "1h"}]})),
        (1, freeze("2026-11-22T01:00:00Z", "2026-11-22T05:00:00Z")),
        (1, freeze("2026-11-22T02:05:00Z", "2026-11-22T05:00:00Z")),
        (1, freeze("2026-01-01T00:00:00Z", "2099-12-31T00:00:00Z")),
        (1, json!({"timeZone": "Mars/Base"})),
    ];
    weighted(schedules)
}

fn versions(other: &'static str) -> impl Strategy<Value = Value> {
    let after = |soak: &str| json!({"after": [{"policy": other, "soak": soak}]});
    weighted(vec![
        (6, Value::Null),
        (2, json!({"constraint": "<1.21"})),
        (1, json!({"minimumAge": "1h"})),
        (1, json!({"minimumAge": "5m"})),
        (2, after("5m")),
        (1, after("3d")),
        (1, json!({"constraint": ">=1.20", "minimumAge": "5m", "after": [{"policy": other, "soak": "5m"}]})),
    ])
}

fn health() -> impl Strategy<Value = Value> {
    let checks = json!([{"name": "zone", "node": {"jsonPath": "$.metadata.labels.zone", "expect": ["one"]}}]);
    weighted(vec![
        (4, Value::Null),
        (1, json!({"minReadySeconds": 60})),
        (1, json!({"timeout": "5m"})),
        (1, json!({"minReadySeconds": 30, "timeout": "1h", "checks": checks})),
    ])
}

fn failures() -> impl Strategy<Value = Value> {
    weighted(vec![
        (3, Value::Null),
        (1, json!({"haltAfter": 2})),
        (1, json!({"haltAfter": "50%"})),
        (1, json!({"haltAfter": "100%"})),
    ])
}

fn drain() -> impl Strategy<Value = Value> {
    let force = rare().prop_map(|force| if force { "Force" } else { "Abort" });
    option::weighted(0.3, (select(vec!["10m", "2h"]), force))
        .prop_map(|drain| drain.map_or(Value::Null, |(timeout, end)| json!({"timeout": timeout, "onTimeout": end})))
}

fn weighted(choices: Vec<(u32, Value)>) -> impl Strategy<Value = Value> {
    prop::strategy::Union::new_weighted(choices.into_iter().map(|(weight, value)| (weight, Just(value))).collect())
}
