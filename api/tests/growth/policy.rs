//! Whole policies, through the one parser, and what is asked of them then.

use std::collections::BTreeMap;

use api::Policy;
use api::policy::{UpdatePolicySpec, parse};
use jiff::Timestamp;
use kube::core::SelectorExt as _;
use proptest::prelude::*;
use semver::Version;
use serde_json::{Value, json};

use crate::texts::{TIMES, corpus, mixed};
use crate::within_the_cap;

fn now() -> Timestamp {
    "2026-11-30T22:00:00Z".parse().unwrap()
}

/// A policy in which every text is this one, and every list has `items` of it.
fn saying(text: &str, items: usize) -> Value {
    let list = |item: &dyn Fn(usize) -> Value| (0..items).map(item).collect::<Value>();
    json!({
        "nodeSelector": {
            "matchLabels": (0..items).map(|at| (format!("{text}{at}"), json!(text))).collect::<serde_json::Map<_, _>>(),
            "matchExpressions": list(&|_| json!({"key": text, "operator": "In", "values": vec![text; items]})),
        },
        "maxConcurrentUpdates": text, "maxUnavailable": text, "topologyKey": text,
        "schedule": {
            "timeZone": text,
            "windows": list(&|_| json!({"start": text, "duration": text})),
            "blackouts": list(&|_| json!({"start": text, "end": text, "reason": text})),
        },
        "versions": {
            "constraint": text, "minimumAge": text, "after": list(&|_| json!({"policy": text, "soak": text})),
        },
        "drain": {"timeout": text},
        "health": {
            "timeout": text,
            "checks": list(&|at| json!({"name": format!("{at}"), "node": {"jsonPath": text, "expect": vec![text; items]}})),
        },
        "failures": {"haltAfter": text},
    })
}

/// Reads it, whole and the selector alone, as the controller does with what is stored.
fn read(spec: &Value) -> Result<Policy, String> {
    let spec: UpdatePolicySpec = serde_json::from_value(spec.clone()).unwrap();
    let _ = parse::selector(&spec);
    let read = Policy::try_from(&spec);
    if let Err(invalid) = &read {
        assert!(invalid.problems().len() <= 32, "{} problems", invalid.problems().len());
    }
    read.map_err(|invalid| invalid.to_string())
}

#[test]
fn a_policy_that_says_a_kept_text_everywhere_is_read_in_a_bounded_time() {
    for growing in corpus() {
        for times in TIMES {
            let text = growing.times(times);
            let spec = saying(&text, if times > 1000 { 2 } else { 16 });
            within_the_cap(&format!("{growing:?} {times} times"), || read(&spec).map(drop).unwrap_or_default());
        }
    }
}

/// As many as an object of the API server has room for; each problem was held against each before.
#[test]
fn a_policy_with_tens_of_thousands_of_mistakes_is_refused_at_once() {
    let labels: BTreeMap<_, _> = (0..60_000).map(|at| (format!("a b {at}"), "")).collect();
    let checks: Vec<_> = (0..20_000).map(|_| json!({"name": "", "node": {"jsonPath": "", "expect": []}})).collect();
    let windows: Vec<_> = (0..20_000).map(|_| json!({"start": "", "duration": ""})).collect();
    for spec in [
        json!({"nodeSelector": {"matchLabels": labels}}),
        json!({"nodeSelector": {}, "health": {"checks": checks}}),
        json!({"nodeSelector": {}, "schedule": {"windows": windows}}),
    ] {
        within_the_cap("a policy with many mistakes", || assert!(read(&spec).is_err()));
    }
}

/// A Node as large as etcd takes, asked by the costliest questions that are accepted.
#[test]
fn the_costliest_checks_are_answered_by_the_largest_node_in_a_bounded_time() {
    let resources: BTreeMap<_, _> = (0..60_000).map(|at| (format!("example.com/{at}"), "1")).collect();
    let node = json!({"status": {"capacity": resources, "conditions": vec![json!({"type": "a"}); 1000]}});
    let filter = ["@!=@"; 8].join("||");
    let paths = [
        format!("$.status.capacity[?{filter}]"),
        format!("$.status[?{filter}]"),
        format!("$.status.capacity{}", ".*".repeat(6)),
    ];
    let checks: Vec<_> = paths
        .iter()
        .filter(|path| api::health::NodePath::parse(path).is_ok())
        .cycle()
        .take(2)
        .enumerate()
        .map(|(at, path)| json!({"name": at.to_string(), "node": {"jsonPath": path, "expect": ["x"]}}))
        .collect();
    let policy = read(&json!({"nodeSelector": {}, "health": {"checks": checks}})).unwrap();
    assert_eq!(policy.health.checks.len(), 2);
    within_the_cap("two checks", || policy.health.checks.iter().filter(|check| check.passes(&node)).count());
}

/// As many windows and blackouts as the schema takes, made so that each step finds something in its way.
#[test]
fn the_costliest_schedule_is_followed_in_a_bounded_time() {
    let blackouts = |step: i64| -> Vec<Value> {
        let from = |at: i64| now() + jiff::SignedDuration::from_hours(at * step);
        (0..64).map(|at| json!({"start": from(at).to_string(), "end": from(at + 1).to_string()})).collect()
    };
    for (start, duration, step) in [
        ("0 0 29 2 *", "1s", 24 * 366),
        ("59 23 31 12 *", "31d", 24 * 366),
        ("* * * * *", "1m", 1),
        ("*/2 * * * *", "61s", 1),
        ("0 0 1 1 *", "1s", 24),
    ] {
        let windows = vec![json!({"start": start, "duration": duration}); 32];
        let schedule = json!({"timeZone": "Australia/Lord_Howe", "windows": windows, "blackouts": blackouts(step)});
        let policy = read(&json!({"nodeSelector": {}, "schedule": schedule})).unwrap();
        within_the_cap(start, || {
            for hours in 0..10 {
                let at = now() - jiff::SignedDuration::from_hours(hours);
                let _ =
                    (policy.schedule.is_open_at(at), policy.schedule.closes_at(at), policy.schedule.next_opening(at));
            }
        });
    }
}

#[test]
fn the_largest_selector_and_range_are_matched_in_a_bounded_time() {
    let values: Vec<_> = (0..64).map(|at| format!("v{at}")).collect();
    let expressions: Vec<_> =
        (0..16).map(|at| json!({"key": format!("k{at}"), "operator": "NotIn", "values": values})).collect();
    let range = vec![">=1.0.0-a"; 20].join(", ");
    let policy =
        read(&json!({"nodeSelector": {"matchExpressions": expressions}, "versions": {"constraint": range}})).unwrap();
    let labels: BTreeMap<_, _> = (0..16).map(|at| (format!("k{at}"), "other".to_owned())).collect();
    let version = Version::parse(&format!("1.0.0-{}", "a.".repeat(60) + "b")).unwrap();
    within_the_cap("ten thousand nodes", || {
        for _ in 0..10_000 {
            assert!(policy.selector.matches(&labels));
            let _ = policy.versions.constraint.as_ref().unwrap().matches(&version);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_that_says_any_mixture_everywhere_is_read_in_a_bounded_time(text in mixed(), items in 0_usize..40) {
        within_the_cap(&text, || read(&saying(&text, items)).map(drop).unwrap_or_default());
    }
}
