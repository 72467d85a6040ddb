//! Schedules that are closed, or close too early.

use api::names::IGNORE_WINDOW_ANNOTATION;
use controller::action::Verb;
use controller::check::{Broken, check};
use controller::plan::plan;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::{annotate, assert_objects, assert_passes, cluster, observed, outdated, renewing, set};

/// An approval of ten minutes is too long for it; node b gets one.
fn closes_in_five_minutes(cluster: &mut Cluster) {
    set(cluster, "schedule", json!({"windows": [{"start": "0 1 * * *", "duration": "1h5m"}]}));
}

fn is_closed(cluster: &mut Cluster) {
    set(cluster, "schedule", json!({"windows": [{"start": "0 3 * * *", "duration": "2h"}]}));
}

fn is_blacked_out(cluster: &mut Cluster) {
    set(cluster, "schedule", json!({"blackouts": [{"start": "2026-11-22T01:00:00Z", "end": "2026-11-22T05:00:00Z"}]}));
}

#[test]
fn it_objects_to_an_approval_while_the_schedule_is_closed_and_not_to_a_start() {
    assert_objects(&outdated(is_closed), "b", Verb::Approve, Broken::Window);
    assert_objects(&outdated(is_blacked_out), "b", Verb::Approve, Broken::Window);
}

#[test]
fn it_objects_to_a_renewal_while_the_schedule_is_closed() {
    let (mut cluster, renewing) = renewing();
    is_closed(&mut cluster);
    assert_objects(&(cluster.snapshot(), renewing), "b", Verb::Renew, Broken::Window);
}

#[test]
fn it_objects_to_a_start_of_an_original_agent_while_the_schedule_is_closed() {
    let mut cluster = cluster();
    observed(&mut cluster, "a")["agent_version"] = Value::Null;
    let plan = plan(&cluster.snapshot());
    is_closed(&mut cluster);
    let snapshot = cluster.snapshot();
    let broken: Vec<_> = check(&snapshot, &plan).into_iter().map(|it| (it.node, it.verb, it.broken)).collect();
    let both = [("a", Verb::Start), ("b", Verb::Approve)].map(|(node, verb)| (node.to_owned(), verb, Broken::Window));
    assert_eq!(broken, both);
}

#[test]
fn it_objects_to_an_approval_that_outlasts_its_window() {
    assert_objects(&outdated(closes_in_five_minutes), "b", Verb::Approve, Broken::Window);
    assert_passes(closes_in_five_minutes);
}

#[test]
fn a_schedule_is_ignored_for_one_version() {
    for edit in [is_closed, is_blacked_out, closes_in_five_minutes] {
        let ignored_for = |cluster: &mut Cluster, version: &str| {
            edit(cluster);
            annotate(cluster, "b", IGNORE_WINDOW_ANNOTATION, version);
        };
        assert_passes(|cluster| ignored_for(cluster, "1.20.0"));
        assert_objects(&outdated(|cluster| ignored_for(cluster, "1.21.0")), "b", Verb::Approve, Broken::Window);
    }
}
