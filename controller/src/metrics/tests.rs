//! What is exported, read as Prometheus reads it.

use std::collections::BTreeSet;

use api::shadow::Desired;
use api::{UpdatePolicy, names};
use kube::core::DeserializeGuard;
use serde_json::{Value, json};

use super::*;
use crate::action::Verb;
use crate::plan::plan;
use crate::snapshot::{Objects, WatchedNode, WatchedShadow};

const NOW: &str = "2026-11-22T02:00:00Z";

/// What a scrape finds.
#[derive(Debug)]
struct Scrape {
    /// `gauge`, `counter` or `histogram`, by the name of the family.
    types: BTreeMap<String, String>,
    /// By name and labels, as they are written.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    fn of(registry: &Registry) -> Self {
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap());
        Self {
            types: types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect(),
            samples: samples.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect(),
        }
    }

    /// Every series of a family, as its labels and its value.
    fn family(&self, name: &str) -> Vec<(&str, i64)> {
        let labelled = self.samples.iter().filter_map(|(series, value)| {
            let labels = series.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
            Some((labels, whole(*value)))
        });
        labelled.collect()
    }

    /// The series of a family that are not 0.
    fn counted(&self, name: &str) -> Vec<(&str, i64)> {
        self.family(name).into_iter().filter(|(_, value)| *value != 0).collect()
    }

    /// The value of one series.
    fn value(&self, series: &str) -> Option<i64> {
        self.samples.get(series).copied().map(whole)
    }

    fn kind(&self, family: &str) -> &str {
        &self.types[family]
    }
}

/// A sample that is a whole number.
#[expect(clippy::cast_possible_truncation, reason = "it is whole and small, or the assertion fails")]
fn whole(value: f64) -> i64 {
    assert!(value.fract() == 0.0, "{value}");
    value as i64
}

/// A cluster with one node for each of `shadows`, each of them its spec and its status.
struct Cluster {
    policies: Vec<(&'static str, Value)>,
    shadows: Vec<(Value, Value)>,
}

impl Cluster {
    fn snapshot(&self) -> Snapshot {
        let name = |at: usize| format!("n{at}");
        let nodes = (0..self.shadows.len()).map(|at| {
            json!({
                "metadata": {
                    "name": name(at), "uid": name(at),
                    "labels": {names::UPDATER_INTERFACE_LABEL: names::UPDATER_INTERFACE_VERSION},
                },
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            })
        });
        let nodes: Vec<WatchedNode> = nodes.map(|node| serde_json::from_value(node).unwrap()).collect();
        let shadow = |(at, (spec, status)): (usize, &(Value, Value))| {
            json!({
                "apiVersion": "brupop.bottlerocket.aws/v2", "kind": "BottlerocketShadow", "spec": spec, "status": status,
                "metadata": {
                    "name": names::shadow_name(&name(at)), "uid": name(at), "resourceVersion": "1",
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name(at), "uid": name(at)}],
                },
            })
        };
        let shadows = self.shadows.iter().enumerate().map(shadow);
        let shadows: Vec<WatchedShadow> = shadows.map(|shadow| serde_json::from_value(shadow).unwrap()).collect();
        let policy = |(name, spec): &(&str, Value)| {
            json!({
                "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "spec": spec,
                "metadata": {"name": name, "uid": name, "generation": 1},
            })
        };
        let policies: Vec<DeserializeGuard<UpdatePolicy>> =
            self.policies.iter().map(|each| serde_json::from_value(policy(each)).unwrap()).collect();
        Snapshot::build(
            NOW.parse().unwrap(),
            &Objects {
                nodes: nodes.iter().collect(),
                shadows: shadows.iter().collect(),
                policies: policies.iter().collect(),
                agents_ready: (0..self.shadows.len()).map(name).collect(),
            },
        )
    }
}

fn status(state: &str, version: &str) -> Value {
    json!({
        "current_state": state, "current_version": version, "target_version": "1.20.0", "crash_count": 0,
        "agent_version": "0.1.0",
    })
}

fn idle(version: &str) -> (Value, Value) {
    (json!({"state": "Idle"}), status("Idle", version))
}

/// In the middle of staging.
fn staging(policy: &str) -> (Value, Value) {
    let spec = json!({
        "state": "StagedAndPerformedUpdate", "version": "1.20.0", "policy": policy,
        "state_transition_timestamp": "2026-11-22T01:50:00Z",
    });
    (spec, status("Idle", "1.19.0"))
}

/// Kept out for a failed health gate.
fn failed(policy: &str, version: &str) -> (Value, Value) {
    let spec = json!({
        "state": "RebootedIntoUpdate", "version": version, "policy": policy,
        "state_transition_timestamp": "2026-11-22T01:00:00Z", "disrupt_not_after": "2026-11-22T01:10:00Z",
    });
    let mut status = status("RebootedIntoUpdate", version);
    status["failed"] = json!({"kind": "Health", "version": version, "time": "2026-11-22T01:40:00Z"});
    (spec, status)
}

fn registered() -> (Registry, Metrics) {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    (registry, metrics)
}

/// What a leader exports of the cluster.
fn shown(cluster: &Cluster) -> Scrape {
    let (registry, metrics) = registered();
    show(&metrics, cluster);
    Scrape::of(&registry)
}

fn show(metrics: &Metrics, cluster: &Cluster) {
    let snapshot = cluster.snapshot();
    metrics.leads();
    metrics.show(&snapshot, &plan(&snapshot));
}

/// Two of three nodes may be in flight; one is.
fn rollout() -> Cluster {
    let policy = json!({"nodeSelector": {}, "maxConcurrentUpdates": 1});
    Cluster {
        policies: vec![("default", policy)],
        shadows: vec![idle("1.19.0"), staging("default"), idle("1.20.0"), idle("1.19.0")],
    }
}

#[test]
fn hosts_are_counted_by_state_and_by_version_under_the_names_of_the_original() {
    let mut cluster = rollout();
    cluster.shadows.push((json!({"state": "Idle"}), status("ErrorReset", "1.18.0")));
    let scrape = shown(&cluster);
    let states = [
        ("state=\"ErrorReset\"", 1),
        ("state=\"Idle\"", 4),
        ("state=\"MonitoringUpdate\"", 0),
        ("state=\"RebootedIntoUpdate\"", 0),
        ("state=\"StagedAndPerformedUpdate\"", 0),
    ];
    assert_eq!(scrape.family("brupop_hosts_state"), states);
    let versions = ["1.18.0", "1.19.0", "1.20.0"].map(|version| format!("bottlerocket_version=\"{version}\""));
    let versions: Vec<_> = versions.iter().map(String::as_str).zip([1, 3, 1]).collect();
    assert_eq!(scrape.family("brupop_hosts_version"), versions);
    assert_eq!((scrape.kind("brupop_hosts_state"), scrape.kind("brupop_hosts_version")), ("gauge", "gauge"));
    assert_eq!(scrape.value("brupop_managed_nodes"), Some(5));
}

#[test]
fn the_series_of_a_version_that_no_host_runs_any_more_goes_away() {
    let (registry, metrics) = registered();
    let mut cluster = rollout();
    show(&metrics, &cluster);
    cluster.shadows = vec![idle("1.20.0"), idle("1.20.0")];
    show(&metrics, &cluster);
    let scrape = Scrape::of(&registry);
    assert_eq!(scrape.family("brupop_hosts_version"), [("bottlerocket_version=\"1.20.0\"", 2)]);
    cluster.policies = vec![("other", json!({"nodeSelector": {}}))];
    show(&metrics, &cluster);
    let scrape = Scrape::of(&registry);
    for family in ["brupop_nodes_in_flight", "brupop_policy_limit", "brupop_policy_window_open", "brupop_policy_halted"]
    {
        let policies: Vec<_> = scrape.family(family).into_iter().map(|(policy, _)| policy).collect();
        assert_eq!(policies, ["policy=\"other\""], "{family}");
    }
}

#[test]
fn versions_beyond_the_cap_are_counted_together() {
    let mut cluster = rollout();
    cluster.shadows = (0..40).flat_map(|minor| (0..=minor).map(move |_| idle(&format!("1.{minor}.0")))).collect();
    let scrape = shown(&cluster);
    let versions = scrape.family("brupop_hosts_version");
    assert_eq!(versions.len(), MAX_VERSIONS + 1);
    let of = |version: &str| scrape.value(&format!("brupop_hosts_version{{bottlerocket_version=\"{version}\"}}"));
    assert_eq!((of("1.39.0"), of("1.8.0"), of("1.7.0")), (Some(40), Some(9), None), "what most run is told apart");
    assert_eq!(of(OTHER), Some((1..=8).sum()));
    assert_eq!(versions.iter().map(|(_, hosts)| hosts).sum::<i64>(), (1..=40).sum::<i64>(), "no host is lost");
}

#[test]
fn nodes_are_counted_by_why_they_are_held_and_by_policy_while_they_are_in_flight() {
    let scrape = shown(&rollout());
    assert_eq!(scrape.counted("brupop_nodes_held"), [("reason=\"BudgetFull\"", 2)]);
    assert_eq!(scrape.family("brupop_nodes_held").len(), HoldReason::ALL.len(), "a reason that holds nobody is 0");
    assert_eq!(scrape.family("brupop_nodes_in_flight"), [("policy=\"default\"", 1)]);
    assert_eq!(scrape.family("brupop_policy_limit"), [("policy=\"default\"", 1)]);
    let mut cluster = rollout();
    cluster.policies[0].1["maxConcurrentUpdates"] = json!("unlimited");
    assert_eq!(shown(&cluster).family("brupop_policy_limit"), [], "without a limit there is none");
    cluster.policies[0].1["maxConcurrentUpdates"] = json!("50%");
    assert_eq!(shown(&cluster).family("brupop_policy_limit"), [("policy=\"default\"", 2)]);
}

#[test]
fn a_node_whose_policy_changed_on_the_way_is_in_flight_for_both() {
    let mut cluster = rollout();
    let began_under = json!({"nodeSelector": {"matchLabels": {"pool": "none"}}});
    cluster.policies.push(("other", began_under));
    cluster.shadows.push(staging("other"));
    let counted = [("policy=\"default\"", 2), ("policy=\"other\"", 1)];
    assert_eq!(shown(&cluster).family("brupop_nodes_in_flight"), counted);
}

#[test]
fn a_policys_window_and_when_it_changes_are_told() {
    let mut cluster = rollout();
    let scrape = shown(&cluster);
    assert_eq!(scrape.family("brupop_policy_window_open"), [("policy=\"default\"", 1)]);
    assert_eq!(scrape.family("brupop_policy_window_change_timestamp_seconds"), [], "it is always open");
    let from = |start: &str| json!({"windows": [{"start": start, "duration": "1h"}]});
    let at = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
    for (start, open, change) in [("30 1 * * *", 1, "2026-11-22T02:30:00Z"), ("0 4 * * *", 0, "2026-11-22T04:00:00Z")] {
        cluster.policies[0].1["schedule"] = from(start);
        let scrape = shown(&cluster);
        assert_eq!(scrape.family("brupop_policy_window_open"), [("policy=\"default\"", open)]);
        let changes = scrape.family("brupop_policy_window_change_timestamp_seconds");
        assert_eq!(changes, [("policy=\"default\"", at(change))]);
    }
}

#[test]
fn failed_nodes_and_the_halt_that_follows_are_told_and_go_away() {
    let (registry, metrics) = registered();
    let mut cluster = rollout();
    cluster.shadows.extend([failed("default", "1.20.0"), failed("default", "1.20.0"), failed("default", "1.21.0")]);
    show(&metrics, &cluster);
    let scrape = Scrape::of(&registry);
    let failures = [("kind=\"Health\",version=\"1.20.0\"", 2), ("kind=\"Health\",version=\"1.21.0\"", 1)];
    assert_eq!(scrape.family("brupop_failed_nodes"), failures);
    assert_eq!(scrape.family("brupop_policy_halted"), [("policy=\"default\"", 1)]);
    show(&metrics, &rollout());
    let scrape = Scrape::of(&registry);
    assert_eq!(scrape.family("brupop_failed_nodes"), []);
    assert_eq!(scrape.family("brupop_policy_halted"), [("policy=\"default\"", 0)]);
    cluster.shadows = (0..40).map(|minor| failed("default", &format!("1.{minor}.0"))).collect();
    let scrape = shown(&cluster);
    assert_eq!(scrape.family("brupop_failed_nodes").len(), MAX_VERSIONS + 1);
    assert_eq!(scrape.value("brupop_failed_nodes{kind=\"Health\",version=\"other\"}"), Some(8), "the oldest");
}

#[test]
fn only_the_leader_speaks_of_the_cluster() {
    let (registry, metrics) = registered();
    metrics.stands_by();
    assert_eq!(Scrape::of(&registry).value("brupop_leader"), Some(0));
    let mut cluster = rollout();
    cluster.shadows.push(failed("default", "1.20.0"));
    cluster.policies[0].1["schedule"] = json!({"windows": [{"start": "0 4 * * *", "duration": "1h"}]});
    show(&metrics, &cluster);
    let leads = Scrape::of(&registry);
    assert_eq!(leads.value("brupop_leader"), Some(1));
    let of_the_cluster = [
        "brupop_hosts_state",
        "brupop_hosts_version",
        "brupop_nodes_held",
        "brupop_nodes_in_flight",
        "brupop_policy_limit",
        "brupop_policy_window_open",
        "brupop_policy_window_change_timestamp_seconds",
        "brupop_policy_halted",
        "brupop_failed_nodes",
    ];
    for family in of_the_cluster {
        assert_ne!(leads.family(family), [], "{family}");
    }
    metrics.stands_by();
    let stands_by = Scrape::of(&registry);
    for family in of_the_cluster {
        assert_eq!(stands_by.family(family), [], "{family}");
    }
    assert_eq!((stands_by.value("brupop_leader"), stands_by.value("brupop_managed_nodes")), (Some(0), Some(0)));
}

#[test]
fn writes_are_counted_by_what_was_written_and_how_it_ended() {
    let (registry, metrics) = registered();
    for (action, result) in [("start", "ok"), ("start", "ok"), ("approve", "conflict"), ("status", "unknown")] {
        metrics.wrote(action, result);
    }
    metrics.objected("start");
    metrics.event_written("Started", "ok");
    let scrape = Scrape::of(&registry);
    let writes = [
        ("action=\"approve\",result=\"conflict\"", 1),
        ("action=\"start\",result=\"ok\"", 2),
        ("action=\"status\",result=\"unknown\"", 1),
    ];
    assert_eq!(scrape.family("brupop_writes_total"), writes);
    assert_eq!(scrape.family("brupop_plan_objections_total"), [("action=\"start\"", 1)]);
    assert_eq!(scrape.family("brupop_events_total"), [("reason=\"Started\",result=\"ok\"", 1)]);
    for family in ["brupop_writes_total", "brupop_plan_objections_total", "brupop_events_total"] {
        assert_eq!(scrape.kind(family), "counter");
    }
}

#[test]
fn the_time_to_plan_and_the_time_in_a_state_are_histograms_in_seconds() {
    let (registry, metrics) = registered();
    metrics.planned(0.003);
    metrics.planned(0.07);
    let snapshot = rollout().snapshot();
    let shadow = snapshot.shadows["n1"].readable().unwrap();
    let now = NOW.parse().unwrap();
    metrics.spec_written(&Action::new(Verb::Unschedule, shadow, Desired::default()), now);
    metrics.spec_written(&Action::new(Verb::Adjust, shadow, shadow.desired.clone()), now);
    let scrape = Scrape::of(&registry);
    assert_eq!((scrape.kind("brupop_plan_seconds"), scrape.kind("brupop_phase_seconds")), ("histogram", "histogram"));
    let up_to = |le: &str| scrape.value(&format!("brupop_plan_seconds_bucket{{le=\"{le}\"}}")).unwrap();
    assert_eq!((up_to("0.001"), up_to("0.005"), up_to("0.1"), up_to("+Inf")), (0, 1, 2, 2));
    assert_eq!(scrape.value("brupop_plan_seconds_count"), Some(2));
    let state = "{state=\"StagedAndPerformedUpdate\"}";
    assert_eq!(scrape.value(&format!("brupop_phase_seconds_sum{state}")), Some(600), "ten minutes");
    assert_eq!(scrape.value(&format!("brupop_phase_seconds_count{state}")), Some(1), "an adjustment is no other state");
}

#[test]
fn each_watch_tells_when_it_was_heard_and_how_often_it_failed() {
    let (registry, metrics) = registered();
    let now: Timestamp = NOW.parse().unwrap();
    metrics.watched("nodes", "2026-11-22T01:00:00Z".parse().unwrap());
    metrics.watched("nodes", now);
    metrics.watch_failed("pods");
    let scrape = Scrape::of(&registry);
    let heard = scrape.family("brupop_watch_last_heard_timestamp_seconds");
    assert_eq!(heard, [("watch=\"nodes\"", now.as_second())]);
    assert_eq!(scrape.family("brupop_watch_failures_total"), [("watch=\"pods\"", 1)]);
    let kinds = ["brupop_watch_last_heard_timestamp_seconds", "brupop_watch_failures_total"];
    assert_eq!(kinds.map(|family| scrape.kind(family)), ["gauge", "counter"]);
}

#[test]
fn the_documentation_lists_what_is_exported() {
    let (registry, metrics) = registered();
    let mut cluster = rollout();
    cluster.shadows.push(failed("default", "1.20.0"));
    cluster.policies[0].1["schedule"] = json!({"windows": [{"start": "0 4 * * *", "duration": "1h"}]});
    show(&metrics, &cluster);
    metrics.wrote("start", "ok");
    metrics.objected("start");
    metrics.event_written("Started", "ok");
    metrics.watched("nodes", NOW.parse().unwrap());
    metrics.watch_failed("nodes");
    metrics.planned(0.1);
    let snapshot = cluster.snapshot();
    let shadow = snapshot.shadows["n1"].readable().unwrap();
    metrics.spec_written(&Action::new(Verb::Unschedule, shadow, Desired::default()), NOW.parse().unwrap());
    let exported = Scrape::of(&registry).types.into_keys().collect::<BTreeSet<_>>();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md")).unwrap();
    let (_, section) = page.split_once("## Controller\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|row| row.strip_prefix("| `")?.split(['`', '{']).next());
    assert_eq!(exported, rows.map(str::to_owned).collect());
}
