//! The check objects: for each kind of objection a plan, made by hand from a right one, that it must object to.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

mod cluster;

use api::{State, policy::PolicyCondition};
use cluster::Cluster;
use controller::{
    action::{Action, Verb},
    check::{Broken, Objection, check, unobjected},
    plan::{Plan, plan},
    snapshot::Snapshot,
    status::statuses,
};
use jiff::SignedDuration;

/// Node a may start and node b may get the go; c waits for a place, and d is being drained.
const CLUSTER: &str = r#"
now: "2026-11-22T02:00:00Z"
policies:
  default: {nodeSelector: {}, maxConcurrentUpdates: 3}
nodes:
  a: {}
  b: {}
  c: {}
  d: {cordoned: true, marks: {go: {version: "1.20.0", since: "2026-11-22T01:50:00Z"}, began: "2026-11-22T01:51:00Z", cordoned_before: false, cordoned: true}}
  e: {}
shadows:
  a:
    status: {current_state: Idle, current_version: "1.19.0", target_version: "1.20.0", crash_count: 0, agent_version: "0.1.0"}
  b:
    spec: {state: StagedAndPerformedUpdate, state_transition_timestamp: "2026-11-22T01:50:00Z", version: "1.20.0", policy: default}
    status: {current_state: StagedAndPerformedUpdate, current_version: "1.19.0", target_version: "1.20.0", crash_count: 0, agent_version: "0.1.0"}
  c:
    status: {current_state: Idle, current_version: "1.19.0", target_version: "1.20.0", crash_count: 0, agent_version: "0.1.0"}
  d:
    spec: {state: RebootedIntoUpdate, state_transition_timestamp: "2026-11-22T01:50:00Z", version: "1.20.0", policy: default, disrupt_not_after: "2026-11-22T02:00:00Z"}
    status: {current_state: StagedAndPerformedUpdate, current_version: "1.19.0", target_version: "1.20.0", crash_count: 0, agent_version: "0.1.0"}
  e:
    status: {current_state: Idle, current_version: "1.20.0", target_version: "1.20.0", crash_count: 0, agent_version: "0.1.0"}
"#;

fn cluster() -> Cluster {
    serde_saphyr::from_str(CLUSTER).unwrap()
}

/// The plan for the cluster as it is, and the cluster after `edit`.
fn outdated(edit: impl FnOnce(&mut Cluster)) -> (Snapshot, Plan) {
    let mut edited = cluster();
    let plan = plan(&edited.snapshot());
    edit(&mut edited);
    (edited.snapshot(), plan)
}

/// The cluster as it is, and its plan after `edit`.
fn tampered(edit: impl FnOnce(&Snapshot, &mut Plan)) -> (Snapshot, Plan) {
    let snapshot = cluster().snapshot();
    let mut plan = plan(&snapshot);
    edit(&snapshot, &mut plan);
    (snapshot, plan)
}

fn action(plan: &mut Plan, verb: Verb) -> &mut Action {
    plan.actions.iter_mut().find(|action| action.verb == verb).unwrap()
}

/// That the check objects to the action on `node` for this reason, and to nothing else.
fn assert_objects((snapshot, plan): &(Snapshot, Plan), node: &str, verb: Verb, broken: Broken) {
    assert_eq!(check(snapshot, plan), vec![Objection { node: node.to_owned(), verb, broken }]);
}

fn set(cluster: &mut Cluster, field: &str, value: serde_json::Value) {
    cluster.policies.get_mut("default").unwrap()[field] = value;
}

#[test]
fn it_does_not_object_to_the_plan_itself() {
    let (snapshot, plan) = tampered(|_, _| {});
    let verbs: Vec<_> = plan.actions.iter().map(|action| (action.node.as_str(), action.verb)).collect();
    assert_eq!(verbs, [("a", Verb::Start), ("b", Verb::Go)]);
    assert_eq!(check(&snapshot, &plan), vec![]);
}

#[test]
fn it_objects_to_a_write_that_does_not_fit_the_snapshot() {
    let twice = tampered(|_, plan| plan.actions.extend(plan.actions.first().cloned()));
    assert_objects(&twice, "a", Verb::Start, Broken::Precondition);
    let older = tampered(|_, plan| action(plan, Verb::Go).resource_version = "0".to_owned());
    assert_objects(&older, "b", Verb::Go, Broken::Precondition);
    let of_an_earlier_node =
        outdated(|cluster| cluster.shadows.get_mut("a").unwrap().owner = Some("uid-of-an-earlier-node".to_owned()));
    assert_objects(&of_an_earlier_node, "a", Verb::Start, Broken::Precondition);
}

#[test]
fn it_objects_without_a_policy_that_applies() {
    let another = tampered(|_, plan| action(plan, Verb::Start).order.policy = Some("another".to_owned()));
    assert_objects(&another, "a", Verb::Start, Broken::Policy);
    let (snapshot, plan) = outdated(|cluster| cluster.policies.clear());
    let objections = check(&snapshot, &plan);
    assert!(objections.iter().all(|objection| objection.broken == Broken::Policy));
    assert_eq!(objections.len(), 2);
}

#[test]
fn it_objects_in_a_pause() {
    let (snapshot, plan) = outdated(|cluster| set(cluster, "paused", true.into()));
    let objections = check(&snapshot, &plan);
    assert!(objections.iter().all(|objection| objection.broken == Broken::Paused));
    assert_eq!(objections.len(), 2);
}

#[test]
fn it_objects_to_nodes_that_must_be_left_alone() {
    let hold = |cluster: &mut Cluster| {
        let held = ("brupop.bottlerocket.aws/hold".to_owned(), "a test".to_owned());
        cluster.nodes.get_mut("a").unwrap().annotations.extend([held]);
    };
    assert_objects(&outdated(hold), "a", Verb::Start, Broken::Node);
    let edits: [fn(&mut cluster::NodeLines); 4] = [
        |node| node.not_ready = true,
        |node| node.cordoned = true,
        |node| node.agent_silent = true,
        |node| node.taints.push("karpenter.sh/disrupted".to_owned()),
    ];
    for edit in edits {
        assert_objects(&outdated(|cluster| edit(cluster.nodes.get_mut("b").unwrap())), "b", Verb::Go, Broken::Node);
    }
}

#[test]
fn it_objects_to_orders_that_do_not_follow() {
    let without_version = tampered(|_, plan| action(plan, Verb::Start).order.version = None);
    assert_objects(&without_version, "a", Verb::Start, Broken::Order);
    let into_another = tampered(|_, plan| action(plan, Verb::Go).order.version = Some("1.21.0".parse().unwrap()));
    assert_objects(&into_another, "b", Verb::Go, Broken::Order);
}

#[test]
fn it_objects_to_a_go_that_expires_at_a_wrong_time() {
    for minutes in [0, 11] {
        let wrong = tampered(|snapshot, plan| {
            let expiry = snapshot.now.checked_add(SignedDuration::from_mins(minutes)).ok();
            action(plan, Verb::Go).order.disrupt_not_after = expiry;
        });
        assert_objects(&wrong, "b", Verb::Go, Broken::Expiry);
    }
}

#[test]
fn it_objects_to_counts_beyond_a_limit() {
    let lowered = outdated(|cluster| set(cluster, "maxConcurrentUpdates", 2.into()));
    assert_objects(&lowered, "a", Verb::Start, Broken::InFlight);
    let (snapshot, plan) = outdated(|cluster| set(cluster, "maxConcurrentUpdates", 1.into()));
    let broken: Vec<_> = check(&snapshot, &plan).into_iter().map(|objection| objection.broken).collect();
    assert_eq!(broken, [Broken::InFlight, Broken::Disrupted]);
}

#[test]
fn it_objects_to_a_renewal_beyond_a_lowered_limit() {
    let mut cluster = cluster();
    let spec = &mut cluster.shadows.get_mut("b").unwrap().spec;
    spec["state"] = "RebootedIntoUpdate".into();
    spec["disrupt_not_after"] = "2026-11-22T02:03:00Z".into();
    let mut renewing = plan(&cluster.snapshot());
    renewing.actions.retain(|action| action.verb == Verb::Renew);
    set(&mut cluster, "maxConcurrentUpdates", 1.into());
    assert_objects(&(cluster.snapshot(), renewing), "b", Verb::Renew, Broken::Disrupted);
}

#[test]
fn it_objects_to_more_unavailable_nodes_than_allowed() {
    let lowered = outdated(|cluster| set(cluster, "maxUnavailable", 2.into()));
    assert_objects(&lowered, "a", Verb::Start, Broken::Unavailable);
}

#[test]
fn it_objects_to_nodes_of_two_zones_out_together() {
    let by_zone = outdated(|cluster| {
        set(cluster, "topologyKey", "zone".into());
        let zones = [("a", "one"), ("b", "two"), ("d", "two")];
        for (node, zone) in zones {
            cluster.nodes.get_mut(node).unwrap().labels.insert("zone".to_owned(), zone.to_owned());
        }
    });
    assert_objects(&by_zone, "a", Verb::Start, Broken::Topology);
}

#[test]
fn it_objects_to_more_than_settings_in_an_adjustment() {
    let adjusted = tampered(|_, plan| {
        let go = action(plan, Verb::Go);
        go.verb = Verb::Adjust;
    });
    assert_objects(&adjusted, "b", Verb::Adjust, Broken::Adjustment);
}

#[test]
fn what_it_objects_to_is_not_executed_and_degrades_the_policy() {
    let (snapshot, plan) = tampered(|_, plan| action(plan, Verb::Go).order.version = None);
    let objections = check(&snapshot, &plan);
    let executed: Vec<_> = unobjected(&plan, &objections).map(|action| action.order.state).collect();
    assert_eq!(executed, [State::StagedAndPerformedUpdate], "the start alone");
    let status = statuses(&snapshot, &plan, &objections).remove("default").unwrap();
    let degraded = status.conditions.iter().find(|condition| condition.type_ == PolicyCondition::Degraded.as_str());
    let degraded = degraded.unwrap();
    assert_eq!((degraded.status.as_str(), degraded.reason.as_str()), ("True", "PlanRefused"));
    assert_eq!(degraded.message, "go of node b was refused: the order does not follow from the one before");
}
