//! Versions that a policy is halted on.

use api::names::FAILURE_ACKNOWLEDGED_ANNOTATION;
use controller::check::Broken;
use serde_json::json;

use crate::cluster::Cluster;
use crate::{annotate, assert_objects_to_both, assert_passes, node, observed, set};

/// Node `name`, which is at rest, has failed on `version`.
fn has_failed(cluster: &mut Cluster, name: &str, version: &str) {
    observed(cluster, name)["current_version"] = "1.19.0".into();
    observed(cluster, name)["failed"] = json!({"kind": "NoBoot", "version": version, "time": "2026-11-21T00:00:00Z"});
}

#[test]
fn it_objects_once_as_many_nodes_have_failed_on_the_version_as_halt_the_policy() {
    assert_objects_to_both(|cluster| has_failed(cluster, "c", "1.20.0"), Broken::Halted);
    // Two of five nodes are 40 percent.
    for most in [json!(2), json!("40%")] {
        let one = |cluster: &mut Cluster| {
            set(cluster, "failures", json!({"haltAfter": most}));
            has_failed(cluster, "c", "1.20.0");
        };
        assert_passes(one);
        let two = |cluster: &mut Cluster| {
            one(cluster);
            has_failed(cluster, "e", "1.20.0");
        };
        assert_objects_to_both(two, Broken::Halted);
    }
}

#[test]
fn a_failure_on_another_version_halts_nobody() {
    assert_passes(|cluster| has_failed(cluster, "c", "1.21.0"));
}

#[test]
fn a_failure_that_was_acknowledged_halts_nobody() {
    let acknowledged = |version: &'static str| {
        move |cluster: &mut Cluster| {
            has_failed(cluster, "c", "1.20.0");
            annotate(cluster, "c", FAILURE_ACKNOWLEDGED_ANNOTATION, version);
        }
    };
    assert_passes(acknowledged("1.20.0"));
    assert_objects_to_both(acknowledged("1.18.0"), Broken::Halted);
}

#[test]
fn a_node_of_another_policy_halts_nobody() {
    assert_passes(|cluster| {
        let another = json!({"nodeSelector": {"matchLabels": {"pool": "another"}}, "priority": 1});
        cluster.policies.insert("another".to_owned(), another);
        node(cluster, "c").labels.insert("pool".to_owned(), "another".to_owned());
        has_failed(cluster, "c", "1.20.0");
    });
}

#[test]
fn a_node_that_has_come_past_the_version_halts_nobody_unless_it_is_asked_back() {
    for runs in ["1.20.0", "1.21.0"] {
        assert_passes(|cluster| {
            has_failed(cluster, "c", "1.20.0");
            observed(cluster, "c")["current_version"] = runs.into();
        });
    }
    let asked_back = |lock: &'static str| {
        move |cluster: &mut Cluster| {
            has_failed(cluster, "c", "1.20.0");
            observed(cluster, "c")["current_version"] = "1.21.0".into();
            observed(cluster, "c")["version_lock"] = lock.into();
        }
    };
    assert_objects_to_both(asked_back("1.20.0"), Broken::Halted);
    assert_objects_to_both(asked_back("v1.20.0"), Broken::Halted);
    assert_passes(asked_back("v1.19.0"));
}

#[test]
fn a_node_that_runs_the_version_and_is_kept_out_for_it_counts() {
    let unhealthy = |cluster: &mut Cluster| {
        has_failed(cluster, "c", "1.20.0");
        observed(cluster, "c")["current_version"] = "1.20.0".into();
        observed(cluster, "c")["current_state"] = "RebootedIntoUpdate".into();
        cluster.shadows.get_mut("c").unwrap().spec = json!({
            "state": "RebootedIntoUpdate", "state_transition_timestamp": "2026-11-21T00:00:00Z", "version": "1.20.0",
            "policy": "default", "disrupt_not_after": "2026-11-21T00:10:00Z",
        });
    };
    assert_objects_to_both(unhealthy, Broken::Halted);
}
