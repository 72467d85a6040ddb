use super::*;
use serde_json::{Value, json};

fn spec(fields: &Value) -> UpdatePolicySpec {
    let mut spec = json!({"nodeSelector": {}});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn parse(fields: &Value) -> Result<Policy, InvalidPolicy> {
    Policy::try_from(&spec(fields))
}

fn refusal(fields: &Value) -> String {
    parse(fields).unwrap_err().to_string()
}

#[test]
fn what_is_left_out_has_its_default() {
    let policy = parse(&json!({})).unwrap();
    assert_eq!(policy.max_concurrent_updates, Amount::Count(1));
    assert_eq!((policy.max_unavailable, policy.topology_key, policy.exclusion_wait_seconds), (None, None, 0));
    assert_eq!(policy.drain.stored(), (1800, OnTimeout::Abort));
    assert_eq!(policy.schedule, Schedule::default());
    assert_eq!(policy.versions, VersionRule::default());
    assert_eq!(policy.health, HealthGate::default());
    assert_eq!(policy.halt_after, Amount::Count(1));
    assert_eq!(parse(&json!({"drain": {}})).unwrap().drain, DrainRule::default());
}

#[test]
fn how_a_node_is_disrupted_is_read() {
    let policy = parse(&json!({
        "maxUnavailable": "20%", "topologyKey": "topology.kubernetes.io/zone",
        "loadBalancerExclusion": {"waitSeconds": 60}, "drain": {"timeout": "1h30m", "onTimeout": "Force"},
    }))
    .unwrap();
    assert_eq!(policy.max_unavailable, Some(Amount::Percent(20)));
    assert_eq!(policy.topology_key.as_deref(), Some("topology.kubernetes.io/zone"));
    assert_eq!(policy.exclusion_wait_seconds, 60);
    assert_eq!(policy.drain.stored(), (5400, OnTimeout::Force));
}

#[test]
fn when_what_and_how_well_are_read() {
    let policy = parse(&json!({
        "schedule": {
            "timeZone": "Europe/Berlin",
            "windows": [{"start": "0 2 * * 1-5", "duration": "4h"}],
            "blackouts": [{"start": "2026-12-20T00:00:00+01:00", "end": "2027-01-02T00:00:00+01:00", "reason": "freeze"}],
        },
        "versions": {"constraint": ">=1.19, <1.21", "minimumAge": "7d", "after": [{"policy": "canary", "soak": "24h"}]},
        "health": {
            "minReadySeconds": 120, "timeout": "20m",
            "checks": [{"name": "disk", "node": {"jsonPath": "$.status.conditions[?@.type=='DiskPressure'].status", "expect": ["False"]}}],
        },
        "failures": {"haltAfter": "5%"},
    }))
    .unwrap();
    assert_eq!(policy.schedule.zone.iana_name(), Some("Europe/Berlin"));
    assert!(policy.schedule.is_open_at("2026-11-24T01:00:00Z".parse().unwrap()));
    assert!(!policy.schedule.is_open_at("2026-12-24T01:00:00Z".parse().unwrap()));
    assert!(policy.versions.constraint.unwrap().matches(&semver::Version::new(1, 20, 3)));
    assert_eq!(policy.versions.minimum_age, Some(SignedDuration::from_hours(168)));
    assert_eq!(policy.versions.after[0].soak, SignedDuration::from_hours(24));
    assert_eq!(policy.health.min_ready, SignedDuration::from_secs(120));
    assert_eq!(policy.health.checks[0].name, "disk");
    assert_eq!(policy.halt_after, Amount::Percent(5));
}

fn refused_with(cases: &[(Value, &str)]) {
    for (fields, refused) in cases {
        let says = refusal(fields);
        assert!(says.starts_with(refused), "{says}\n  instead of\n{refused}");
        assert!(!says.contains("; "), "one fault, one sentence: {says}");
    }
}

#[test]
fn a_refusal_names_the_field_and_what_would_be_right() {
    refused_with(&[
        (json!({"maxConcurrentUpdates": "many"}), "spec.maxConcurrentUpdates: \"many\" is not an amount"),
        (json!({"maxUnavailable": 0}), "spec.maxUnavailable: 0 is not an amount"),
        (json!({"maxUnavailable": "unlimited"}), "spec.maxUnavailable: \"unlimited\" is not an amount"),
        (json!({"topologyKey": "a b"}), "spec.topologyKey: \"a b\" is not a label key"),
        (json!({"loadBalancerExclusion": {"waitSeconds": -1}}), "spec.loadBalancerExclusion.waitSeconds: lower than 0"),
        (json!({"drain": {"timeout": "30"}}), "spec.drain.timeout: \"30\" is not a duration"),
        (json!({"drain": {"timeout": "8d"}}), "spec.drain.timeout: \"8d\" is too long"),
        (
            json!({"nodeSelector": {"matchLabels": {"a b": "c"}}}),
            "spec.nodeSelector.matchLabels[a b]: \"a b\" is not a label key",
        ),
        (
            json!({"nodeSelector": {"matchLabels": {"a": "c d"}}}),
            "spec.nodeSelector.matchLabels[a]: \"c d\" is not a label value",
        ),
        (
            json!({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Is", "values": ["b"]}]}}),
            "spec.nodeSelector.matchExpressions[0].operator: \"Is\" is not an operator: write In",
        ),
        (
            json!({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            "spec.nodeSelector.matchExpressions[0].values: In needs at least one value",
        ),
        (
            json!({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}),
            "spec.nodeSelector.matchExpressions[0].values: Exists takes no values",
        ),
    ]);
}

#[test]
fn a_schedule_that_cannot_be_kept_is_refused_by_name() {
    refused_with(&[
        (json!({"schedule": {"timeZone": "Mars/Base"}}), "spec.schedule.timeZone: \"Mars/Base\" is not a time zone"),
        (
            json!({"schedule": {"windows": [{"start": "0 25 * * *", "duration": "4h"}]}}),
            "spec.schedule.windows[0].start: \"0 25 * * *\" is not a cron expression: the hour \"25\" is not",
        ),
        (
            json!({"schedule": {"windows": [{"start": "0 2 1 * 1", "duration": "4h"}]}}),
            "spec.schedule.windows[0].start: \"0 2 1 * 1\" restricts both",
        ),
        (
            json!({"schedule": {"windows": [{"start": "0 2 30 2 *", "duration": "4h"}]}}),
            "spec.schedule.windows[0].start: \"0 2 30 2 *\" never comes",
        ),
        (
            json!({"schedule": {"windows": [{"start": "0 2 * * *", "duration": "0h"}]}}),
            "spec.schedule.windows[0].duration: \"0h\" is zero",
        ),
        (
            json!({"schedule": {"windows": [{"start": "0 2 * * *", "duration": "32d"}]}}),
            "spec.schedule.windows[0].duration: \"32d\" is too long",
        ),
        (
            json!({"schedule": {"blackouts": [{"start": "2026-12-20T00:00:00", "end": "2027-01-02T00:00:00Z"}]}}),
            "spec.schedule.blackouts[0].start: ",
        ),
        (
            json!({"schedule": {"blackouts": [{"start": "2027-01-02T00:00:00Z", "end": "2026-12-20T00:00:00+01:00"}]}}),
            "spec.schedule.blackouts[0].end: \"2026-12-20T00:00:00+01:00\" is not after the start",
        ),
    ]);
}

#[test]
fn versions_checks_and_failures_are_refused_by_name() {
    refused_with(&[
        (json!({"versions": {"constraint": "newest"}}), "spec.versions.constraint: \"newest\" is not a semver range"),
        (json!({"versions": {"minimumAge": "7"}}), "spec.versions.minimumAge: "),
        (
            json!({"versions": {"after": [{"policy": "a", "soak": "1h"}, {"policy": "a", "soak": "2h"}]}}),
            "spec.versions.after[1].policy: \"a\" is there twice",
        ),
        (
            json!({"versions": {"after": [{"policy": "A", "soak": "1h"}]}}),
            "spec.versions.after[0].policy: \"A\" is not the name",
        ),
        (
            json!({"health": {"checks": [{"name": "disk", "node": {"jsonPath": "{.status.phase}", "expect": ["x"]}}]}}),
            "spec.health.checks[0].node.jsonPath: \"{.status.phase}\" is not RFC 9535 JSONPath, which begins with \"$\": write \"$.status.phase\"",
        ),
        (json!({"health": {"timeout": "0m"}}), "spec.health.timeout: \"0m\" is zero"),
        (json!({"failures": {"haltAfter": "0%"}}), "spec.failures.haltAfter: \"0%\" is not a percentage"),
    ]);
}

#[test]
fn an_empty_section_means_its_defaults() {
    for field in ["schedule", "versions", "health", "failures"] {
        assert!(parse(&json!({ field: {} })).is_ok(), "{field}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let invalid =
        parse(&json!({"maxUnavailable": 0, "drain": {"timeout": "x1"}, "health": {"timeout": "0m"}})).unwrap_err();
    let fields: Vec<_> = invalid.problems().iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["spec.maxUnavailable", "spec.drain.timeout", "spec.health.timeout"]);
    assert_eq!(invalid.to_string().matches("; ").count(), 2);
}

#[test]
fn a_policy_can_not_wait_for_itself() {
    let after = json!({"versions": {"after": [{"policy": "canary", "soak": "1h"}, {"policy": "prod", "soak": "1h"}]}});
    let invalid = Policy::try_from(&UpdatePolicy::new("prod", spec(&after))).unwrap_err();
    assert_eq!(invalid.problems().len(), 1);
    assert!(invalid.to_string().starts_with("spec.versions.after[1].policy: \"prod\" is this policy itself"));
}

#[test]
fn a_selector_is_read_whatever_else_is_wrong() {
    let invalid = spec(&json!({"nodeSelector": {"matchLabels": {"pool": "blue"}}, "drain": {"timeout": "x"}}));
    assert!(selector(&invalid).is_ok());
    assert!(selector(&spec(&json!({"nodeSelector": {"matchLabels": {"a b": "c"}}}))).is_err());
}
