//! What holds for every cluster and every policy, whatever state things are in.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

mod cluster;

use std::{collections::BTreeMap, sync::Arc};

use api::{HoldReason, Marks, State, marks::GoId};
use cluster::{Cluster, NodeLines, ShadowLines};
use controller::{
    action::Verb,
    check::check,
    plan::{Plan, Standing, in_flight, plan},
    snapshot::{ShadowFacts, Snapshot},
};
use jiff::Timestamp;
use proptest::{option, prelude::*};
use semver::Version;
use serde_json::{Value, json};

const NOW: &str = "2026-11-22T02:00:00Z";
const SINCE: &str = "2026-11-22T01:50:00Z";

fn policy() -> impl Strategy<Value = Value> {
    let limit = prop_oneof![(1..4_i32).prop_map(|n| json!(n)), Just(json!("40%")), Just(json!("unlimited"))];
    let unavailable = option::weighted(0.3, prop_oneof![(1..5_i32).prop_map(|n| json!(n)), Just(json!("60%"))]);
    let selector = prop_oneof![Just(json!({})), Just(json!({"matchLabels": {"pool": "blue"}}))];
    let drain = option::weighted(0.3, prop::sample::select(vec!["10m", "2h"]));
    let rare = || prop::bool::weighted(0.1);
    let by_zone = prop::bool::weighted(0.3);
    (limit, unavailable, selector, any::<bool>(), 0..2_i32, drain, rare(), by_zone).prop_map(
        |(limit, unavailable, selector, paused, priority, drain, unsupported, by_zone)| {
            let mut spec = json!({
                "nodeSelector": selector, "paused": paused, "priority": priority, "maxConcurrentUpdates": limit,
                "maxUnavailable": unavailable, "topologyKey": by_zone.then_some("zone"),
                "drain": drain.map(|timeout| json!({"timeout": timeout})),
            });
            if unsupported {
                spec["schedule"] = json!({});
            }
            spec
        },
    )
}

fn node() -> impl Strategy<Value = NodeLines> {
    let rare = || prop::bool::weighted(0.1);
    let zone = option::weighted(0.8, prop::sample::select(vec!["one", "two"]));
    (any::<bool>(), zone, rare(), rare(), rare(), rare(), rare(), option::weighted(0.2, 0..2_u64)).prop_map(
        |(blue, zone, unmanaged, not_ready, cordoned, agent_silent, held, marked)| NodeLines {
            labels: [("pool", Some(if blue { "blue" } else { "green" })), ("zone", zone)]
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
                .collect(),
            annotations: if held {
                BTreeMap::from([("brupop.bottlerocket.aws/hold".to_owned(), "x".to_owned())])
            } else {
                BTreeMap::new()
            },
            unmanaged,
            not_ready,
            cordoned: cordoned || marked.is_some(),
            agent_silent,
            marks: marked.map(|minor| {
                let go = GoId { version: Version::new(1, 20 + minor, 0), since: SINCE.parse().unwrap() };
                Marks::first(go, SINCE.parse().unwrap(), false, None)
            }),
            ..NodeLines::default()
        },
    )
}

fn shadow() -> impl Strategy<Value = ShadowLines> {
    let state =
        || prop::sample::select(vec!["Idle", "StagedAndPerformedUpdate", "RebootedIntoUpdate", "MonitoringUpdate"]);
    let reported = prop_oneof![4 => state(), 1 => Just("ErrorReset")];
    let owner = prop::sample::select(vec![Some("one"), Some("two"), Some("gone"), None]);
    let expiry = prop::sample::select(vec!["2026-11-22T01:59:00Z", "2026-11-22T02:03:00Z", "2026-11-22T02:09:00Z"]);
    let report = (reported, prop::sample::select(vec!["1.19.0", "1.20.0"]), any::<bool>(), 0..3_u32);
    (state(), option::weighted(0.95, report), owner, expiry, prop::bool::weighted(0.05)).prop_map(
        |(state, report, policy, expiry, other_owner)| ShadowLines {
            spec: match state {
                "Idle" => json!({"state": state, "policy": policy}),
                "RebootedIntoUpdate" => json!({
                    "state": state, "version": "1.20.0", "policy": policy,
                    "state_transition_timestamp": SINCE, "disrupt_not_after": expiry,
                }),
                _ => json!({
                    "state": state, "version": "1.20.0", "policy": policy, "state_transition_timestamp": SINCE,
                }),
            },
            status: report.map(|(reported, current, original, crashes)| {
                json!({
                    "current_state": reported, "current_version": current, "target_version": "1.20.0",
                    "crash_count": crashes, "agent_version": (!original).then_some("0.1.0"),
                })
            }),
            owner: other_owner.then(|| "uid-of-an-earlier-node".to_owned()),
        },
    )
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let policies = (option::of(policy()), option::of(policy()));
    let nodes = prop::collection::vec((node(), option::weighted(0.95, shadow())), 1..9);
    (policies, nodes).prop_map(|((one, two), nodes)| {
        let policies = [("one", one), ("two", two)].into_iter().filter_map(|(name, spec)| Some((name.into(), spec?)));
        let name = |at: usize| format!("n{at}");
        let shadows = nodes.iter().enumerate().filter_map(|(at, (_, shadow))| Some((name(at), shadow.clone()?)));
        Cluster {
            now: NOW.to_owned(),
            policies: policies.collect(),
            versions: BTreeMap::new(),
            promoted_under: BTreeMap::new(),
            shadows: shadows.collect(),
            nodes: nodes.iter().enumerate().map(|(at, (node, _))| (name(at), node.clone())).collect(),
        }
    })
}

fn count(plan: &Plan, verb: Verb) -> usize {
    plan.actions.iter().filter(|action| action.verb == verb).count()
}

/// The cluster with every order of the plan stored, as if all writes had succeeded.
fn after(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut next = snapshot.clone();
    for action in &plan.actions {
        if action.verb == Verb::Delete {
            next.shadows.remove(&action.node);
        } else if let Some(ShadowFacts::Readable(shadow)) = next.shadows.get_mut(&action.node).map(Arc::make_mut) {
            shadow.order = action.order.clone();
        }
    }
    next
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_check_never_objects_to_a_plan(cluster in cluster()) {
        let snapshot = cluster.snapshot();
        prop_assert_eq!(check(&snapshot, &plan(&snapshot)), vec![]);
    }

    #[test]
    fn the_same_snapshot_gives_the_same_plan(cluster in cluster()) {
        prop_assert_eq!(plan(&cluster.snapshot()), plan(&cluster.snapshot()));
    }

    #[test]
    fn executed_plans_come_to_an_end_without_any_answer_from_agents(cluster in cluster()) {
        let mut snapshot = cluster.snapshot();
        for _ in 0..4 {
            snapshot = after(&snapshot, &plan(&snapshot));
        }
        let left = plan(&snapshot).actions;
        prop_assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn nobody_but_finishing_nodes_moves_while_everything_is_paused(cluster in cluster()) {
        let mut cluster = cluster;
        for spec in cluster.policies.values_mut() {
            spec["paused"] = json!(true);
        }
        let plan = plan(&cluster.snapshot());
        let limited: Vec<_> = plan.actions.iter().filter(|action| action.verb.is_limited()).collect();
        prop_assert!(limited.is_empty(), "{limited:?}");
    }

    #[test]
    fn a_higher_limit_starts_no_fewer_nodes(cluster in cluster(), limit in 1..4_i32) {
        let starts = |limit: i32| {
            let mut cluster = cluster.clone();
            for spec in cluster.policies.values_mut() {
                spec["maxConcurrentUpdates"] = json!(limit);
            }
            let plan = plan(&cluster.snapshot());
            count(&plan, Verb::Start)
        };
        prop_assert!(starts(limit) <= starts(limit + 1));
    }

    #[test]
    fn a_higher_maximum_of_unavailable_nodes_starts_no_fewer_nodes(cluster in cluster(), most in 1..4_i32) {
        let starts = |most: i32| {
            let mut cluster = cluster.clone();
            for spec in cluster.policies.values_mut() {
                spec["maxUnavailable"] = json!(most);
            }
            let plan = plan(&cluster.snapshot());
            count(&plan, Verb::Start)
        };
        prop_assert!(starts(most) <= starts(most + 1));
    }

    #[test]
    fn where_nothing_but_a_limit_holds_a_node_something_of_its_policy_is_out(cluster in cluster()) {
        let snapshot = cluster.snapshot();
        let plan = plan(&snapshot);
        for (name, standing) in &plan.nodes {
            let Some(hold) = &standing.hold else { continue };
            let down = match hold.reason {
                HoldReason::BudgetFull | HoldReason::TopologyBusy => false,
                HoldReason::TooManyUnavailable => true,
                _ => continue,
            };
            let policy = &standing.owners[0];
            let is_out = |(other, theirs): (&String, &Standing)| {
                let started = plan.actions.iter().any(|action| action.node == *other && action.order.state != State::Idle);
                let node = &snapshot.nodes[other];
                let began = snapshot.shadows.get(other).and_then(|shadow| shadow.readable());
                let its = theirs.owners.contains(policy)
                    || began.is_some_and(|shadow| shadow.order.policy.as_ref() == Some(policy));
                its && (theirs.in_flight || started || (down && (!node.ready || node.cordoned)))
            };
            // An unmanaged node that still carries marks counts for the policy it began under, and stands nowhere.
            let unmanaged = snapshot.nodes.values().any(|node| !node.managed && node.is_marked());
            prop_assert!(unmanaged || plan.nodes.iter().any(is_out), "{name}: {hold:?}");
        }
    }

    #[test]
    fn every_node_that_does_not_move_says_why(cluster in cluster()) {
        let snapshot = cluster.snapshot();
        let plan = plan(&snapshot);
        for (name, standing) in &plan.nodes {
            let moves = standing.in_flight || plan.actions.iter().any(|action| action.node == *name);
            prop_assert!(moves || standing.up_to_date || standing.hold.is_some(), "{name}: {standing:?}");
        }
    }

    #[test]
    fn with_nothing_in_flight_and_nothing_in_the_way_something_starts(count in 1..6_usize, limit in 1..3_i32) {
        let nodes: Vec<String> = (0..count).map(|at| format!("n{at}")).collect();
        let status = json!({
            "current_state": "Idle", "current_version": "1.19.0", "target_version": "1.20.0", "crash_count": 0,
            "agent_version": "0.1.0",
        });
        let shadow = ShadowLines { status: Some(status), ..ShadowLines::default() };
        let cluster = Cluster {
            now: NOW.to_owned(),
            policies: BTreeMap::from([("one".to_owned(), json!({"nodeSelector": {}, "maxConcurrentUpdates": limit}))]),
            versions: BTreeMap::new(),
            promoted_under: BTreeMap::new(),
            nodes: nodes.iter().map(|name| (name.clone(), NodeLines::default())).collect(),
            shadows: nodes.iter().map(|name| (name.clone(), shadow.clone())).collect(),
        };
        let plan = plan(&cluster.snapshot());
        prop_assert_eq!(plan.actions.len(), count.min(usize::try_from(limit).unwrap()));
    }

    #[test]
    fn executed_starts_stay_within_a_number(cluster in cluster(), limit in 1..4_usize) {
        let mut cluster = cluster;
        cluster.policies = BTreeMap::from([("one".to_owned(), json!({"nodeSelector": {}, "maxConcurrentUpdates": limit}))]);
        let snapshot = cluster.snapshot();
        let flying = |snapshot: &Snapshot| {
            snapshot.nodes.values().filter(|node| node.managed && in_flight(node, snapshot.shadow_of(node), snapshot.now)).count()
        };
        let executed = after(&snapshot, &plan(&snapshot));
        prop_assert!(flying(&executed) <= flying(&snapshot).max(limit));
    }
}

#[test]
fn now_is_read_from_the_snapshot_alone() {
    let cluster: Cluster = serde_json::from_value(json!({
        "now": "1971-01-01T00:00:00Z",
        "policies": {"one": {"nodeSelector": {}}},
        "nodes": {"a": {}},
        "shadows": {"a": {"status": {
            "current_state": "Idle", "current_version": "1.19.0", "target_version": "1.20.0", "crash_count": 0,
        }}},
    }))
    .unwrap();
    let plan = plan(&cluster.snapshot());
    assert_eq!(plan.actions[0].order.since, Some("1971-01-01T00:00:00Z".parse::<Timestamp>().unwrap()));
}
