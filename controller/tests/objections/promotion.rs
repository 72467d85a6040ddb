//! Versions that are not promoted: the nodes that go first have not run them for long enough.

use api::names::FAILURE_ACKNOWLEDGED_ANNOTATION;
use controller::check::{Broken, check};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::{annotate, assert_objects_to_both, assert_passes, node, observed, outdated, set};

/// Node e, of policy canary, must have run a version for a day; the status of canary knows of these.
fn after_canary(cluster: &mut Cluster, versions: Vec<Value>) {
    set(cluster, "versions", json!({"after": [{"policy": "canary", "soak": "24h"}]}));
    let canary = json!({"nodeSelector": {"matchLabels": {"pool": "canary"}}, "priority": 1});
    cluster.policies.insert("canary".to_owned(), canary);
    node(cluster, "e").labels.insert("pool".to_owned(), "canary".to_owned());
    cluster.versions.insert("canary".to_owned(), versions);
    cluster.versions.insert("default".to_owned(), vec![seen("1.20.0")]);
}

fn seen(version: &str) -> Value {
    json!({"version": version, "firstSeen": "2026-11-01T00:00:00Z"})
}

fn runs(version: &str, since: &str) -> Value {
    json!({"version": version, "firstSeen": "2026-11-01T00:00:00Z", "runBy": "e", "runSince": since})
}

fn promoted(version: &str) -> Value {
    json!({"version": version, "firstSeen": "2026-11-01T00:00:00Z", "promotedAt": "2026-11-21T00:00:00Z"})
}

const A_DAY_AGO: &str = "2026-11-21T02:00:00Z";
const A_SECOND_LATER: &str = "2026-11-21T02:00:01Z";

#[test]
fn it_objects_until_the_first_have_run_the_version_for_long_enough() {
    assert_passes(|cluster| after_canary(cluster, vec![runs("1.20.0", A_DAY_AGO)]));
    assert_objects_to_both(|cluster| after_canary(cluster, vec![runs("1.20.0", A_SECOND_LATER)]), Broken::Version);
    assert_objects_to_both(|cluster| after_canary(cluster, vec![seen("1.20.0")]), Broken::Version);
}

#[test]
fn it_objects_where_there_is_nobody_to_go_first() {
    let without_canary = |cluster: &mut Cluster| {
        after_canary(cluster, Vec::new());
        cluster.policies.remove("canary");
    };
    assert_objects_to_both(without_canary, Broken::Version);
}

#[test]
fn who_goes_first_is_not_asked_of_the_policy_itself() {
    let runs_it_itself = |cluster: &mut Cluster| {
        after_canary(cluster, vec![seen("1.20.0")]);
        cluster.versions.insert("default".to_owned(), vec![runs("1.20.0", A_DAY_AGO)]);
    };
    assert_objects_to_both(runs_it_itself, Broken::Version);
}

/// Policy staging, which owns nobody, must have run it as well.
fn and_after_staging(cluster: &mut Cluster) {
    let steps = json!([{"policy": "canary", "soak": "24h"}, {"policy": "staging", "soak": "24h"}]);
    set(cluster, "versions", json!({"after": steps}));
    cluster.policies.insert("staging".to_owned(), json!({"nodeSelector": {"matchLabels": {"pool": "staging"}}}));
}

#[test]
fn it_objects_while_one_of_several_has_not_run_the_version() {
    let of_both = |cluster: &mut Cluster| {
        after_canary(cluster, vec![runs("1.20.0", A_DAY_AGO)]);
        and_after_staging(cluster);
    };
    assert_objects_to_both(of_both, Broken::Version);
}

#[test]
fn who_runs_a_newer_version_has_come_past_it_and_who_runs_an_older_one_has_not() {
    for versions in [
        vec![runs("1.21.0", A_DAY_AGO), seen("1.20.0")],
        vec![runs("1.21.0", A_SECOND_LATER), runs("1.20.0", A_DAY_AGO)],
        vec![runs("1.21.0", A_DAY_AGO), runs("1.20.0", A_SECOND_LATER)],
    ] {
        assert_passes(|cluster| {
            after_canary(cluster, versions);
            observed(cluster, "e")["current_version"] = "1.21.0".into();
        });
    }
    let older = vec![seen("1.20.0"), runs("1.19.0", A_DAY_AGO)];
    assert_objects_to_both(|cluster| after_canary(cluster, older), Broken::Version);
}

/// Canary does not run the version any more; the status of the policy knows of these.
fn without_runs(cluster: &mut Cluster, versions: Vec<Value>) {
    after_canary(cluster, vec![seen("1.20.0")]);
    cluster.versions.insert("default".to_owned(), versions);
}

#[test]
fn what_was_promoted_stays_so() {
    assert_passes(|cluster| without_runs(cluster, vec![promoted("1.20.0")]));
    let others = vec![promoted("1.21.0"), seen("1.20.0"), promoted("1.19.0")];
    assert_objects_to_both(|cluster| without_runs(cluster, others), Broken::Version);
    assert_objects_to_both(|cluster| without_runs(cluster, Vec::new()), Broken::Version);
}

#[test]
fn it_objects_to_what_was_promoted_under_another_rule() {
    let canary = json!({"policy": "canary", "soakSeconds": 86_400});
    let others = [
        json!([]),
        json!([{"policy": "canary", "soakSeconds": 86_399}]),
        json!([{"policy": "staging", "soakSeconds": 86_400}]),
        json!([canary, {"policy": "staging", "soakSeconds": 86_400}]),
    ];
    for under in others {
        let promoted_before = |cluster: &mut Cluster| {
            without_runs(cluster, vec![promoted("1.20.0")]);
            cluster.promoted_under.insert("default".to_owned(), under);
        };
        assert_objects_to_both(promoted_before, Broken::Version);
    }
}

/// The version was promoted, and node e of canary has failed on it since.
fn failed_since(cluster: &mut Cluster) {
    without_runs(cluster, vec![promoted("1.20.0")]);
    observed(cluster, "e")["current_version"] = "1.19.0".into();
    observed(cluster, "e")["failed"] = json!({"kind": "Fallback", "version": "1.20.0", "time": A_DAY_AGO});
}

#[test]
fn it_objects_to_what_has_failed_on_one_of_the_first_since() {
    assert_objects_to_both(failed_since, Broken::Version);
    let on_one_of_several = |cluster: &mut Cluster| {
        failed_since(cluster);
        and_after_staging(cluster);
    };
    assert_objects_to_both(on_one_of_several, Broken::Version);
    let (snapshot, plan) = outdated(|cluster| {
        failed_since(cluster);
        annotate(cluster, "e", FAILURE_ACKNOWLEDGED_ANNOTATION, "1.20.0");
    });
    assert_eq!(check(&snapshot, &plan), vec![], "it was acknowledged");
}
