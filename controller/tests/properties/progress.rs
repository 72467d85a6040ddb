//! What must happen: where nothing stands in the way something begins, and what stands in the way is said.

use std::collections::BTreeMap;

use api::{HoldReason, State};
use controller::action::Verb;
use controller::plan::{NodePlan, plan};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::arbitrary::cluster;
use crate::cluster::{Cluster, NodeLines, ShadowLines};
use crate::count;

/// The cluster with nothing under way and no history: what every shadow reports is Idle.
fn at_rest(mut cluster: Cluster) -> Cluster {
    for lines in cluster.shadows.values_mut() {
        lines.spec = Value::Null;
        lines.owner = None;
        let Some(status) = lines.status.as_mut().and_then(Value::as_object_mut) else { continue };
        let history = ["failed", "failure", "rebooting", "activity", "conditions", "version_lock"];
        history.into_iter().chain(["state_transition_failure_timestamp"]).for_each(|field| drop(status.remove(field)));
        status.extend([("current_state".to_owned(), json!("Idle")), ("crash_count".to_owned(), json!(0))]);
    }
    for node in cluster.nodes.values_mut() {
        node.cordoned &= node.record.is_none();
        node.record = None;
    }
    cluster
}

/// The cluster with one policy for all nodes, that stands in nobody's way but by its limits.
fn under_one_open_policy(mut cluster: Cluster) -> Cluster {
    let limits = cluster.policies.pop_first().map(|(_, spec)| spec).unwrap_or_default();
    let field = |name: &str| limits.get(name).cloned().unwrap_or_default();
    let limit = limits.get("maxConcurrentUpdates").cloned().unwrap_or(json!(1));
    let policy = json!({
        "nodeSelector": {}, "maxConcurrentUpdates": limit, "topologyKey": field("topologyKey"), "drain": field("drain"),
        "health": field("health"), "failures": field("failures"),
    });
    cluster.policies = BTreeMap::from([("one".to_owned(), policy)]);
    cluster
}

/// Whether nothing on the Node or in what its agent says keeps it from being started, as an administrator would see it.
fn is_free(node: &NodeLines, shadow: &ShadowLines) -> bool {
    let Some(status) = &shadow.status else { return false };
    let original = status["agent_version"].is_null();
    let version = |field: &str| semver::Version::parse(status[field].as_str().unwrap()).unwrap();
    let outdated = version("current_version") < version("target_version");
    let held = node.annotations.contains_key("brupop.bottlerocket.aws/hold");
    let silent = node.agent_silent && !original;
    !node.unmanaged && !node.not_ready && !node.cordoned && !held && !silent && node.taints.is_empty() && outdated
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn with_nothing_under_way_and_a_node_that_nothing_keeps_something_starts(cluster in cluster()) {
        let cluster = under_one_open_policy(at_rest(cluster));
        let free = cluster.nodes.iter().filter(|(name, node)| {
            cluster.shadows.get(*name).is_some_and(|shadow| is_free(node, shadow))
        });
        let free = free.count();
        let plan = plan(&cluster.snapshot());
        let starts = count(&plan, Verb::Start);
        let policy = &cluster.policies["one"];
        let limit = plan.limits.get("one").copied().unwrap_or(usize::MAX);
        prop_assert!(starts > 0 || free == 0, "{free} could start");
        if policy["topologyKey"].is_null() {
            // Those that somebody asked for although they are cordoned come on top.
            prop_assert!(starts >= free.min(limit), "{starts} of {free} start, {limit} may");
        }
        prop_assert!(starts <= limit);
    }

    #[test]
    fn a_node_that_is_staged_is_approved_where_nothing_keeps_it(cluster in cluster()) {
        // The same clusters, one step further: what was started has been staged.
        let mut cluster = under_one_open_policy(at_rest(cluster));
        let started = plan(&cluster.snapshot()).actions.into_iter().filter(|action| action.verb == Verb::Start);
        let started: Vec<_> = started.collect();
        for action in &started {
            let lines = cluster.shadows.get_mut(&action.node).unwrap();
            lines.spec = serde_json::to_value(controller::action::stored(&action.desired)).unwrap();
            lines.status.as_mut().unwrap()["current_state"] = json!("StagedAndPerformedUpdate");
        }
        let plan = plan(&cluster.snapshot());
        prop_assert_eq!(count(&plan, Verb::Approve), started.len(), "{:?}", plan.nodes);
    }

    #[test]
    fn where_nothing_but_a_limit_holds_a_node_something_of_its_policy_is_out(cluster in cluster()) {
        let snapshot = cluster.snapshot();
        let plan = plan(&snapshot);
        for (name, node_plan) in &plan.nodes {
            let Some(hold) = &node_plan.hold else { continue };
            let down = match hold.reason {
                HoldReason::BudgetFull | HoldReason::TopologyBusy => false,
                HoldReason::TooManyUnavailable => true,
                _ => continue,
            };
            let policy = &node_plan.owners[0];
            let is_out = |(other, decided): (&String, &NodePlan)| {
                let started = plan.actions.iter().any(|action| action.node == *other && action.desired.state != State::Idle);
                let node = &snapshot.nodes[other];
                let began = snapshot.shadows.get(other).and_then(|shadow| shadow.readable());
                let its = decided.owners.contains(policy)
                    || began.is_some_and(|shadow| shadow.desired.policy.as_ref() == Some(policy));
                let out = decided.in_flight || started || (down && (!node.ready || node.cordoned || decided.failed.is_some()));
                its && out
            };
            // An unmanaged node that still carries a record counts for the policy it began under, and is in none of the plan's nodes.
            let unmanaged = snapshot.nodes.values().any(|node| !node.managed && node.has_record());
            prop_assert!(unmanaged || plan.nodes.iter().any(is_out), "{name}: {hold:?}");
        }
    }

    #[test]
    fn every_node_that_does_not_move_says_why(cluster in cluster()) {
        let snapshot = cluster.snapshot();
        let plan = plan(&snapshot);
        for (name, node_plan) in &plan.nodes {
            let moves = node_plan.in_flight || plan.actions.iter().any(|action| action.node == *name);
            // A verdict that is over is removed first; what the node counts as follows from that.
            let observed = snapshot.shadows.get(name).and_then(|it| it.readable()?.observed.as_ref());
            let settles = observed.is_some_and(|observed| observed.failed.as_ref() != node_plan.failed.as_deref());
            let quiet = !moves && !settles && !node_plan.up_to_date;
            prop_assert!(!quiet || node_plan.hold.is_some(), "{name}: {node_plan:?}");
        }
    }
}
