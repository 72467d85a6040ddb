//! No text costs a plan more than its length, wherever in the cluster it stands: the texts of `api/tests/growth/corpus.json` in a
//! policy, in a Node's annotations and in a shadow, from the objects to the statuses. Nodes of other policies go on.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

mod cluster;

use std::time::{Duration, Instant};

use api::{HoldReason, names};
use cluster::Cluster;
use controller::check::check;
use controller::plan::plan;
use controller::status::statuses;
use controller::{report, shadow_status};
use serde_json::{Value, json};

/// Longest that one snapshot and its plan may take; they take milliseconds, also in a debug build on a busy machine.
const CAP: Duration = Duration::from_secs(60);
/// Small numbers, where exponents show, what the schema lets through, and as much as an annotation takes.
const TIMES: [usize; 4] = [14, 60, 400, 20_000];

fn texts() -> Vec<String> {
    let corpus = include_str!("../../api/tests/growth/corpus.json");
    let corpus: Vec<Value> = serde_json::from_str(corpus).unwrap();
    let part = |text: &Value, part: &str| text[part].as_str().unwrap().to_owned();
    let grown = |text: &Value, times| {
        format!("{}{}{}", part(text, "begin"), part(text, "repeat").repeat(times), part(text, "end"))
    };
    corpus.iter().flat_map(|text| TIMES.map(|times| grown(text, times))).collect()
}

/// Node `a` is of a policy that says it and has annotations that say it; node `b` is of one that says nothing of the kind.
fn cluster(text: &str) -> Cluster {
    let annotations = [
        names::HOLD_ANNOTATION,
        names::UPDATE_NOW_ANNOTATION,
        names::IGNORE_WINDOW_ANNOTATION,
        names::FAILURE_ACKNOWLEDGED_ANNOTATION,
        names::DISRUPTION_RECORD_ANNOTATION,
        names::VERSION_LOCK_BEFORE_ANNOTATION,
    ];
    let annotations: Value =
        annotations.into_iter().map(|key| (key.to_owned(), json!(text))).collect::<serde_json::Map<_, _>>().into();
    let checks = json!([{"name": text, "node": {"jsonPath": text, "expect": [text]}}]);
    let blackout = json!({"start": "2026-11-22T00:00:00Z", "end": "2026-11-23T00:00:00Z", "reason": text});
    let idle = json!({"current_state": "Idle", "current_version": "1.19.0", "target_version": "1.20.0", "crash_count": 0,
                      "agent_version": "0.1.0", "message": text, "version_lock": text});
    serde_json::from_value(json!({
        "now": "2026-11-22T02:00:00Z",
        "policies": {
            "odd": {
                "nodeSelector": {"matchLabels": {"pool": "a"}}, "health": {"checks": checks},
                "schedule": {"windows": [{"start": text, "duration": text}], "blackouts": [blackout]},
                "versions": {"constraint": text, "after": [{"policy": text, "soak": "1h"}]},
            },
            "frozen": {"nodeSelector": {"matchLabels": {"pool": "c"}}, "schedule": {"blackouts": [blackout]}},
            "other": {"nodeSelector": {"matchLabels": {"pool": "b"}}},
        },
        "nodes": {
            "a": {"labels": {"pool": "a"}, "annotations": annotations},
            "b": {"labels": {"pool": "b"}},
            "c": {"labels": {"pool": "c"}, "annotations": {names::HOLD_ANNOTATION: text}},
        },
        "shadows": {
            "a": {"spec": {"state": "RebootedIntoUpdate", "version": text, "policy": "odd"}, "status": idle},
            "b": {"status": {"current_state": "Idle", "current_version": "1.19.0", "target_version": "1.20.0",
                             "crash_count": 0, "agent_version": "0.1.0"}},
            "c": {"status": idle},
        },
    }))
    .unwrap()
}

fn planned(text: &str) {
    let snapshot = cluster(text).snapshot();
    let plan = plan(&snapshot);
    let objections = check(&snapshot, &plan);
    assert!(
        plan.actions.iter().any(|action| action.node == "b"),
        "the others go on: {}",
        report::render(&plan, &objections)
    );
    assert_eq!(plan.nodes["a"].hold.as_ref().map(|hold| hold.reason), Some(HoldReason::Unreadable));
    let statuses = statuses(&snapshot, &plan, &objections);
    assert!(statuses["odd"].conditions.iter().any(|said| said.type_ == "Accepted" && said.status == "False"));
    let of_policies = statuses.values().flat_map(|status| &status.conditions);
    let of_shadows = shadow_status::changed(&snapshot, &plan);
    for said in of_policies.chain(of_shadows.iter().flat_map(|status| &status.conditions)) {
        assert!(api::text::is_line(&said.message), "{:?}", said.message);
    }
    for updating in statuses.values().flat_map(|status| &status.updating) {
        assert!(updating.message.as_deref().is_none_or(api::text::is_line), "{:?}", updating.message);
    }
}

#[test]
fn a_plan_takes_a_bounded_time_whatever_stands_in_the_cluster_and_the_others_go_on() {
    for text in texts() {
        let started = Instant::now();
        planned(&text);
        let took = started.elapsed();
        assert!(took < CAP, "{took:?}: {}", &text[..text.floor_char_boundary(200)]);
    }
}

/// Whoever may write policies may write many: what they say of each other must not grow with their number once for each node, nor
/// with its square.
#[test]
fn thousands_of_tied_policies_cost_a_plan_no_more_than_each_of_them_on_each_node() {
    let policy = |at: usize| (format!("{}-{at}", "p".repeat(200)), json!({"nodeSelector": {}}));
    let node = |at: usize| (format!("n{at}"), json!({}));
    let object = |pairs: Vec<(String, Value)>| Value::Object(pairs.into_iter().collect());
    let idle = json!({"status": {"current_state": "Idle", "current_version": "1.19.0", "target_version": "1.20.0",
                                 "crash_count": 0, "agent_version": "0.1.0"}});
    let cluster: Cluster = serde_json::from_value(json!({
        "now": "2026-11-22T02:00:00Z",
        "policies": object((0..2000).map(policy).collect()),
        "nodes": object((0..1500).map(node).collect()),
        "shadows": object((0..1500).map(|at| (format!("n{at}"), idle.clone())).collect()),
    }))
    .unwrap();
    let snapshot = cluster.snapshot();
    let started = Instant::now();
    let plan = plan(&snapshot);
    let objections = check(&snapshot, &plan);
    let statuses = statuses(&snapshot, &plan, &objections);
    let took = started.elapsed();
    assert!(plan.actions.is_empty() && statuses.len() == 2000);
    let longest =
        plan.nodes.values().filter_map(|node_plan| node_plan.hold.as_ref()).map(|hold| hold.message.len()).max();
    assert!(longest.is_some_and(|longest| longest < 4096), "{longest:?}");
    assert!(took < CAP, "{took:?}");
}
