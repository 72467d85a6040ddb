//! Versions that are out of the policy's range, too young, or a way back.

use controller::action::Verb;
use controller::check::{Broken, check};
use controller::plan::plan;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::{
    action, assert_objects, assert_objects_to_both, assert_passes, cluster, observed, outdated, set, tampered,
};

#[test]
fn it_objects_to_a_version_out_of_range() {
    let takes =
        |range: &'static str| move |cluster: &mut Cluster| set(cluster, "versions", json!({"constraint": range}));
    assert_passes(takes("<1.21"));
    assert_objects_to_both(takes("<1.20"), Broken::Version);
}

/// A version must be a day old; the status of `policy` knows of these.
fn seen(cluster: &mut Cluster, policy: &str, versions: Vec<Value>) {
    set(cluster, "versions", json!({"minimumAge": "24h"}));
    cluster.versions.insert(policy.to_owned(), versions);
}

#[test]
fn it_objects_to_a_version_that_is_too_young() {
    let first_seen = |version: &str, time: &str| json!({"version": version, "firstSeen": time});
    let old = |version| first_seen(version, "2026-11-21T02:00:00Z");
    let young = |version| first_seen(version, "2026-11-21T02:00:01Z");
    assert_passes(|cluster| seen(cluster, "default", vec![old("1.20.0")]));
    assert_objects_to_both(|cluster| seen(cluster, "default", vec![young("1.20.0")]), Broken::Version);
    let others = vec![old("1.19.0"), old("1.21.0")];
    assert_objects_to_both(|cluster| seen(cluster, "default", others), Broken::Version);
}

#[test]
fn a_version_is_as_old_as_the_policy_that_has_seen_it_first_says() {
    let first_seen = |time: &str| vec![json!({"version": "1.20.0", "firstSeen": time})];
    for (default, another) in [("2026-11-01", "2026-11-22"), ("2026-11-22", "2026-11-01")] {
        assert_passes(|cluster| {
            let nobody = json!({"nodeSelector": {"matchLabels": {"pool": "another"}}});
            cluster.policies.insert("another".to_owned(), nobody);
            seen(cluster, "another", first_seen(&format!("{another}T00:00:00Z")));
            seen(cluster, "default", first_seen(&format!("{default}T00:00:00Z")));
        });
    }
}

/// Node a would go back to 1.18.0.
fn goes_back(cluster: &mut Cluster) {
    observed(cluster, "a")["target_version"] = "1.18.0".into();
}

#[test]
fn it_objects_to_a_way_back() {
    let back = tampered(|_, plan| action(plan, Verb::Start).desired.version = "1.18.0".parse().ok());
    assert_objects(&back, "a", Verb::Start, Broken::Version);
    let mut another = cluster();
    observed(&mut another, "a")["version_lock"] = "v1.17.0".into();
    assert_objects(&(another.snapshot(), back.1), "a", Verb::Start, Broken::Version);
}

#[test]
fn it_objects_to_an_approval_on_a_way_back() {
    let mut cluster = cluster();
    cluster.shadows.get_mut("b").unwrap().spec["version"] = "1.18.0".into();
    observed(&mut cluster, "b")["target_version"] = "1.18.0".into();
    observed(&mut cluster, "b")["version_lock"] = "v1.18.0".into();
    let locked = cluster.snapshot();
    let plan = plan(&locked);
    assert_eq!(check(&locked, &plan), vec![]);
    observed(&mut cluster, "b")["version_lock"] = Value::Null;
    assert_objects(&(cluster.snapshot(), plan), "b", Verb::Approve, Broken::Version);
}

#[test]
fn a_way_back_that_the_version_lock_names_passes() {
    for lock in ["v1.18.0", "1.18.0"] {
        assert_passes(|cluster| {
            goes_back(cluster);
            observed(cluster, "a")["version_lock"] = lock.into();
        });
    }
}

#[test]
fn a_host_with_an_original_agent_chooses_itself() {
    assert_passes(|cluster| {
        goes_back(cluster);
        observed(cluster, "a")["agent_version"] = Value::Null;
    });
}

#[test]
fn it_does_not_take_the_version_that_runs_for_a_way_back() {
    let again = outdated(|cluster| observed(cluster, "b")["current_version"] = "1.20.0".into());
    assert_eq!(check(&again.0, &again.1), vec![]);
}
