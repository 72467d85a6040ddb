//! What a policy's status tells people, from clusters in a few lines.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

mod cluster;

use api::UpdatePolicyStatus;
use api::policy::PolicyCondition;
use cluster::Cluster;
use controller::plan::plan;
use controller::status::statuses;
use serde_json::{Value, json};

/// The status of policy `default` in a cluster of these nodes and shadows.
fn status(spec: &Value, nodes: &Value, shadows: &Value) -> UpdatePolicyStatus {
    of_cluster(&json!({
        "now": "2026-11-22T02:00:00Z", "policies": {"default": spec}, "nodes": nodes, "shadows": shadows,
    }))
}

fn of_cluster(cluster: &Value) -> UpdatePolicyStatus {
    let cluster: Cluster = serde_json::from_value(cluster.clone()).unwrap();
    let snapshot = cluster.snapshot();
    statuses(&snapshot, &plan(&snapshot), &[]).remove("default").unwrap()
}

/// Status, reason and message of a condition.
fn says(status: &UpdatePolicyStatus, kind: PolicyCondition) -> (String, String, String) {
    let said = status.conditions.iter().find(|condition| condition.type_ == kind.as_str()).unwrap();
    (said.status.clone(), said.reason.clone(), said.message.clone())
}

fn progressing(status: &UpdatePolicyStatus) -> (String, String) {
    let (holds, reason, _) = says(status, PolicyCondition::Progressing);
    (holds, reason)
}

fn observed(state: &str, current: &str) -> Value {
    json!({
        "current_state": state, "current_version": current, "target_version": "1.20.0", "crash_count": 0, "agent_version": "0.1.0",
    })
}

fn outdated() -> Value {
    json!({"status": observed("Idle", "1.19.0")})
}

fn updated() -> Value {
    json!({"status": observed("Idle", "1.20.0")})
}

fn staged() -> Value {
    let spec = json!({
        "state": "StagedAndPerformedUpdate", "state_transition_timestamp": "2026-11-22T01:50:00Z", "version": "1.20.0", "policy": "default",
    });
    json!({"spec": spec, "status": observed("StagedAndPerformedUpdate", "1.19.0")})
}

const FREEZE: &str = "2099-12-31T00:00:00Z";

fn frozen_until(end: &str) -> Value {
    json!({"nodeSelector": {}, "schedule": {"blackouts": [{"start": "2026-01-01T00:00:00Z", "end": end}]}})
}

#[test]
fn progressing_says_how_far_the_nodes_are_and_what_they_wait_for() {
    let all = json!({"nodeSelector": {}});
    let paused = json!({"nodeSelector": {}, "paused": true});
    let full = json!({"nodeSelector": {}, "maxUnavailable": 1});
    let pair = || json!({"a": {}, "b": {}});
    let held = json!({"a": {"annotations": {"brupop.bottlerocket.aws/hold": "mine"}}});
    let failed = json!({"status": {
        "current_state": "Idle", "current_version": "1.19.0", "target_version": "1.20.0", "crash_count": 0, "agent_version": "0.1.0",
        "failure": {"kind": "Fallback", "version": "1.20.0", "time": "2026-11-22T01:00:00Z"},
        "failed": {"kind": "Fallback", "version": "1.20.0", "time": "2026-11-22T01:00:00Z"},
    }});
    for (spec, nodes, shadows, expected) in [
        (&all, json!({}), json!({}), ("False", "NoNodes")),
        (&all, json!({"a": {}}), json!({"a": updated()}), ("False", "Complete")),
        (&all, pair(), json!({"a": staged(), "b": outdated()}), ("True", "Updating")),
        (&paused, pair(), json!({"a": staged(), "b": outdated()}), ("True", "Updating")),
        (&paused, json!({"a": {}}), json!({"a": outdated()}), ("False", "Paused")),
        (
            &full,
            json!({"a": {"not_ready": true}, "b": {}}),
            json!({"a": updated(), "b": outdated()}),
            ("True", "Waiting"),
        ),
        (&all, held, json!({"a": outdated()}), ("False", "Held")),
        (&all, json!({"a": {}}), json!({"a": failed}), ("False", "Failed")),
        (&frozen_until("2026-12-01T00:00:00Z"), json!({"a": {}}), json!({"a": staged()}), ("True", "Updating")),
        (&frozen_until(FREEZE), json!({"a": {}}), json!({"a": staged()}), ("False", "Blocked")),
    ] {
        let status = status(spec, &nodes, &shadows);
        assert_eq!(
            progressing(&status),
            (expected.0.to_owned(), expected.1.to_owned()),
            "{spec} {shadows}: {status:?}"
        );
    }
}

#[test]
fn what_only_a_person_can_change_is_told_with_a_node_and_a_sentence() {
    let status = status(&frozen_until(FREEZE), &json!({"a": {}, "b": {}}), &json!({"a": staged(), "b": updated()}));
    let message = "1 of 2 nodes updated; node a waits for somebody: the schedule of policy default is closed for a blackout and does \
                   not open again";
    let expected = ("False".to_owned(), "Blocked".to_owned(), message.to_owned());
    assert_eq!(says(&status, PolicyCondition::Progressing), expected);
    assert_eq!(status.window.map(|window| (window.open, window.next_opens_at)), Some((false, None)));
}

#[test]
fn a_version_that_waits_for_somebody_is_held_and_one_that_waits_for_time_is_waiting() {
    let after = |policy: &str, soak: &str| json!({"nodeSelector": {}, "versions": {"after": [{"policy": policy, "soak": soak}]}});
    let of = |spec: &Value, others: &Value| {
        let mut policies = others.clone();
        policies["default"] = spec.clone();
        let known = json!([{"version": "1.20.0", "firstSeen": "2026-11-01T00:00:00Z", "runBy": "first", "runSince": "2026-11-22T00:00:00Z"}]);
        let status = of_cluster(&json!({
            "now": "2026-11-22T02:00:00Z", "policies": policies, "versions": {"canary": known},
            "nodes": {"a": {}, "first": {"labels": {"pool": "canary"}}}, "shadows": {"a": outdated(), "first": updated()},
        }));
        let counts = status.nodes.clone().unwrap();
        (progressing(&status).1, counts.waiting, counts.held)
    };
    let canary = json!({"canary": {"nodeSelector": {"matchLabels": {"pool": "canary"}}, "priority": 1}});
    assert_eq!(of(&after("canary", "24h"), &canary), ("Waiting".to_owned(), 1, 0));
    assert_eq!(of(&after("canari", "24h"), &canary), ("Blocked".to_owned(), 0, 1));
    let mut circle = canary;
    circle["canary"]["versions"] = json!({"after": [{"policy": "default", "soak": "1h"}]});
    assert_eq!(of(&after("canary", "24h"), &circle), ("Blocked".to_owned(), 0, 1));
}

#[test]
fn a_shadow_that_cannot_be_read_degrades_every_policy_it_may_count_for() {
    let degraded = |spec: Value| {
        let status = of_cluster(&json!({
            "now": "2026-11-22T02:00:00Z",
            "policies": {"default": {"nodeSelector": {"matchLabels": {"pool": "mine"}}}, "other": {"nodeSelector": {}}},
            "nodes": {"a": {}}, "shadows": {"a": {"spec": spec}},
        }));
        let (holds, reason, message) = says(&status, PolicyCondition::Degraded);
        (holds, reason, message.contains("brs-a"))
    };
    let expected = ("True".to_owned(), "Unreadable".to_owned(), true);
    assert_eq!(degraded(json!({"state": "Nonsense"})), expected, "nobody knows whose it is");
    let of = |policy: &str| json!({"state": "Idle", "version": "none", "policy": policy});
    assert_eq!(degraded(of("default")), expected, "it began under it");
    assert_eq!(
        degraded(of("other")),
        ("False".to_owned(), "AsExpected".to_owned(), false),
        "it has nothing to do with it"
    );
}

#[test]
fn the_rule_that_versions_are_promoted_under_is_stored_with_them() {
    let spec = json!({"nodeSelector": {}, "versions": {"after": [{"policy": "canary", "soak": "1h30m"}]}});
    let status = status(&spec, &json!({}), &json!({}));
    let under: Vec<_> = status.promoted_under.iter().map(|step| (step.policy.as_str(), step.soak_seconds)).collect();
    assert_eq!(under, [("canary", 5400)]);
}
