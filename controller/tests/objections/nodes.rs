//! Nodes that must be left alone.

use api::names::{
    DISRUPTION_RECORD_ANNOTATION, FAILURE_ACKNOWLEDGED_ANNOTATION, HOLD_ANNOTATION, UPDATE_NOW_ANNOTATION,
};
use controller::action::Verb;
use controller::check::{Broken, check};
use controller::plan::plan;
use serde_json::{Value, json};

use crate::cluster::{Cluster, NodeLines};
use crate::{annotate, assert_objects, assert_passes, cluster, node, observed, outdated, set, verbs};

#[test]
fn it_objects_to_nodes_that_must_be_left_alone() {
    let held = outdated(|cluster| annotate(cluster, "a", HOLD_ANNOTATION, "a test"));
    assert_objects(&held, "a", Verb::Start, Broken::Node);
    let edits: [fn(&mut NodeLines); 4] = [
        |node| node.not_ready = true,
        |node| node.cordoned = true,
        |node| node.agent_silent = true,
        |node| node.taints.push("karpenter.sh/disrupted".to_owned()),
    ];
    for edit in edits {
        assert_objects(&outdated(|cluster| edit(node(cluster, "b"))), "b", Verb::Approve, Broken::Node);
    }
}

#[test]
fn it_objects_to_a_record_that_cannot_be_read() {
    let unreadable = outdated(|cluster| annotate(cluster, "b", DISRUPTION_RECORD_ANNOTATION, "{"));
    assert_objects(&unreadable, "b", Verb::Approve, Broken::Node);
}

#[test]
fn an_agent_of_the_original_operator_is_never_silent() {
    assert_passes(|cluster| {
        node(cluster, "a").agent_silent = true;
        observed(cluster, "a")["agent_version"] = Value::Null;
    });
}

#[test]
fn a_cordoned_node_is_left_alone_unless_it_is_asked_for_now() {
    for (name, verb) in [("a", Verb::Start), ("b", Verb::Approve)] {
        let asked_for = |cluster: &mut Cluster, version: &str| {
            node(cluster, name).cordoned = true;
            annotate(cluster, name, UPDATE_NOW_ANNOTATION, version);
        };
        assert_passes(|cluster| asked_for(cluster, "1.20.0"));
        assert_objects(&outdated(|cluster| asked_for(cluster, "1.21.0")), name, verb, Broken::Node);
    }
}

#[test]
fn a_cordon_of_the_operators_own_stands_in_nobodys_way() {
    let mut cluster = cluster();
    has_failed(&mut cluster, "d", "1.20.0");
    let in_zone_one = json!({"name": "zone", "node": {"jsonPath": "$.metadata.labels.zone", "expect": ["one"]}});
    set(&mut cluster, "health", json!({"checks": [in_zone_one]}));
    set(&mut cluster, "maxConcurrentUpdates", "unlimited".into());
    observed(&mut cluster, "d")["current_state"] = "RebootedIntoUpdate".into();
    observed(&mut cluster, "d")["current_version"] = "1.20.0".into();
    observed(&mut cluster, "d")["target_version"] = "1.21.0".into();
    let snapshot = cluster.snapshot();
    let plan = plan(&snapshot);
    assert!(verbs(&plan).contains(&("d", Verb::Start)), "a newer version");
    assert_eq!(check(&snapshot, &plan), vec![]);
}

/// Node `name` has failed on 1.20.0: its agent tells of `kind`. So few failures do not halt the policy.
fn has_met(cluster: &mut Cluster, name: &str, kind: &str) {
    set(cluster, "failures", json!({"haltAfter": 9}));
    observed(cluster, name)["failure"] = json!({"kind": kind, "version": "1.20.0", "time": "2026-11-21T00:00:00Z"});
}

/// Node `name` has failed on `version` by a verdict.
fn has_failed(cluster: &mut Cluster, name: &str, version: &str) {
    set(cluster, "failures", json!({"haltAfter": 9}));
    observed(cluster, name)["failed"] = json!({"kind": "NoBoot", "version": version, "time": "2026-11-21T00:00:00Z"});
}

/// Node c, which has met fewer failures than the others, would go first.
fn passes_where_c_is_held(edit: impl FnOnce(&mut Cluster)) {
    assert_passes(|cluster| {
        annotate(cluster, "c", HOLD_ANNOTATION, "a test");
        edit(cluster);
    });
}

#[test]
fn it_objects_to_a_node_that_has_failed_on_the_version_before() {
    for (name, verb) in [("a", Verb::Start), ("b", Verb::Approve)] {
        assert_objects(&outdated(|cluster| has_failed(cluster, name, "1.20.0")), name, verb, Broken::Node);
        assert_objects(&outdated(|cluster| has_met(cluster, name, "Fallback")), name, verb, Broken::Node);
        let another_acknowledged = outdated(|cluster| {
            has_failed(cluster, name, "1.20.0");
            annotate(cluster, name, FAILURE_ACKNOWLEDGED_ANNOTATION, "1.18.0");
        });
        assert_objects(&another_acknowledged, name, verb, Broken::Node);
    }
}

#[test]
fn a_failure_that_was_acknowledged_stands_in_nobodys_way() {
    for name in ["a", "b"] {
        passes_where_c_is_held(|cluster| {
            has_failed(cluster, name, "1.20.0");
            has_met(cluster, name, "Fallback");
            annotate(cluster, name, FAILURE_ACKNOWLEDGED_ANNOTATION, "1.20.0");
        });
    }
}

#[test]
fn a_failure_on_another_version_and_one_that_is_only_waited_out_stand_in_nobodys_way() {
    for name in ["a", "b"] {
        passes_where_c_is_held(|cluster| has_failed(cluster, name, "1.18.0"));
        passes_where_c_is_held(|cluster| has_met(cluster, name, "Drain"));
    }
}
