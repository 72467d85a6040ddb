//! The check objects: for each kind of objection a plan, made by hand from a right one, that it must object to.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

#[path = "../cluster/mod.rs"]
mod cluster;
mod halt;
mod limits;
mod nodes;
mod promotion;
mod schedule;
mod specs;
mod versions;

use api::State;
use api::policy::PolicyCondition;
use cluster::{Cluster, NodeLines};
use controller::action::{Action, Verb};
use controller::check::{Broken, Objection, check, unobjected};
use controller::plan::{Plan, plan};
use controller::snapshot::Snapshot;
use controller::status::statuses;
use serde_json::Value;

/// Node a may start and node b may be approved; c waits for a place, and d is being drained.
const CLUSTER: &str = r#"
now: "2026-11-22T02:00:00Z"
policies:
  default: {nodeSelector: {}, maxConcurrentUpdates: 3}
nodes:
  a: {}
  b: {}
  c: {}
  d: {cordoned: true, record: {go: {version: "1.20.0", since: "2026-11-22T01:50:00Z"}, began: "2026-11-22T01:51:00Z", cordoned_before: false, cordoned: true}}
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

/// The actions of the plan for the cluster as it is.
const STARTS_A_AND_APPROVES_B: [(&str, Verb); 2] = [("a", Verb::Start), ("b", Verb::Approve)];

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

/// The cluster with an approval for node b that expires soon, and the renewal of it.
fn renewing() -> (Cluster, Plan) {
    let mut cluster = cluster();
    let spec = &mut cluster.shadows.get_mut("b").unwrap().spec;
    spec["state"] = "RebootedIntoUpdate".into();
    spec["disrupt_not_after"] = "2026-11-22T02:03:00Z".into();
    let mut renewing = plan(&cluster.snapshot());
    renewing.actions.retain(|action| action.verb == Verb::Renew);
    (cluster, renewing)
}

fn action(plan: &mut Plan, verb: Verb) -> &mut Action {
    plan.actions.iter_mut().find(|action| action.verb == verb).unwrap()
}

fn verbs(plan: &Plan) -> Vec<(&str, Verb)> {
    plan.actions.iter().map(|action| (action.node.as_str(), action.verb)).collect()
}

/// That after `edit` the same is planned still, and the check does not object.
fn assert_passes(edit: impl FnOnce(&mut Cluster)) {
    let mut cluster = cluster();
    edit(&mut cluster);
    let snapshot = cluster.snapshot();
    let plan = plan(&snapshot);
    assert_eq!(verbs(&plan), STARTS_A_AND_APPROVES_B);
    assert_eq!(check(&snapshot, &plan), vec![]);
}

/// That the check objects to both for this reason once `edit` is made.
fn assert_objects_to_both(edit: impl FnOnce(&mut Cluster), broken: Broken) {
    let (snapshot, plan) = outdated(edit);
    let both = STARTS_A_AND_APPROVES_B.map(|(node, verb)| Objection { node: node.to_owned(), verb, broken });
    assert_eq!(check(&snapshot, &plan), both);
}

/// That the check objects to the action on `node` for this reason, and to nothing else.
fn assert_objects((snapshot, plan): &(Snapshot, Plan), node: &str, verb: Verb, broken: Broken) {
    assert_eq!(check(snapshot, plan), vec![Objection { node: node.to_owned(), verb, broken }]);
}

fn set(cluster: &mut Cluster, field: &str, value: Value) {
    cluster.policies.get_mut("default").unwrap()[field] = value;
}

fn node<'a>(cluster: &'a mut Cluster, name: &str) -> &'a mut NodeLines {
    cluster.nodes.get_mut(name).unwrap()
}

fn annotate(cluster: &mut Cluster, name: &str, key: &str, value: &str) {
    node(cluster, name).annotations.insert(key.to_owned(), value.to_owned());
}

/// What the agent on the node reports.
fn observed<'a>(cluster: &'a mut Cluster, name: &str) -> &'a mut Value {
    cluster.shadows.get_mut(name).unwrap().status.as_mut().unwrap()
}

#[test]
fn it_does_not_object_to_the_plan_itself() {
    assert_passes(|_| {});
}

#[test]
fn what_it_objects_to_is_not_executed_and_degrades_the_policy() {
    let (snapshot, plan) = tampered(|_, plan| action(plan, Verb::Approve).desired.version = None);
    let objections = check(&snapshot, &plan);
    let executed: Vec<_> = unobjected(&plan, &objections).map(|action| action.desired.state).collect();
    assert_eq!(executed, [State::StagedAndPerformedUpdate], "the start alone");
    let status = statuses(&snapshot, &plan, &objections).remove("default").unwrap();
    let degraded = status.conditions.iter().find(|condition| condition.type_ == PolicyCondition::Degraded.as_str());
    let degraded = degraded.unwrap();
    assert_eq!((degraded.status.as_str(), degraded.reason.as_str()), ("True", "PlanRefused"));
    assert_eq!(degraded.message, "to approve node b was refused: the spec does not follow from the one before");
}
