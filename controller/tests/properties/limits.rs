//! What must not happen, whatever state things are in.

use std::collections::BTreeMap;

use controller::action::Verb;
use controller::check::check;
use controller::plan::{in_flight, plan};
use controller::snapshot::Snapshot;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use crate::arbitrary::cluster;
use crate::converged::{after, carried_out};

/// Furthest that an approval may hold.
const LONGEST_GO: SignedDuration = SignedDuration::from_mins(10);

fn flying(snapshot: &Snapshot) -> usize {
    let managed = snapshot.nodes_and_shadows().filter(|(node, _)| node.managed);
    managed.filter(|(node, shadow)| in_flight(node, *shadow, snapshot.now)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_check_never_objects_to_a_plan(cluster in cluster()) {
        let snapshot = cluster.snapshot();
        prop_assert_eq!(check(&snapshot, &plan(&snapshot)), vec![]);
    }

    #[test]
    fn the_check_objects_to_no_plan_that_follows_from_one(cluster in cluster()) {
        let snapshot = carried_out(cluster.snapshot(), 2);
        prop_assert_eq!(check(&snapshot, &plan(&snapshot)), vec![]);
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
    fn nobody_but_an_exempt_node_gets_the_approval_while_every_schedule_is_closed(cluster in cluster()) {
        let mut cluster = cluster;
        for spec in cluster.policies.values_mut() {
            spec["schedule"] = json!({"blackouts": [{"start": "2026-11-22T01:00:00Z", "end": "2026-11-22T05:00:00Z"}]});
        }
        let snapshot = cluster.snapshot();
        for action in plan(&snapshot).actions.iter().filter(|action| matches!(action.verb, Verb::Approve | Verb::Renew)) {
            let exempt = &snapshot.nodes[&action.node].ignore_window;
            prop_assert!(exempt.is_some() && *exempt == action.desired.version, "{action:?}");
        }
    }

    #[test]
    fn an_approval_ends_within_ten_minutes_and_no_later_than_its_window(cluster in cluster()) {
        let snapshot = cluster.snapshot();
        for action in plan(&snapshot).actions.iter().filter(|action| matches!(action.verb, Verb::Approve | Verb::Renew)) {
            let expiry = action.desired.disrupt_not_after.unwrap();
            prop_assert!(expiry > snapshot.now && expiry.duration_since(snapshot.now) <= LONGEST_GO, "{action:?}");
            let policy = snapshot.policies[action.desired.policy.as_ref().unwrap()].accepted.as_ref().unwrap();
            let exempt = snapshot.nodes[&action.node].ignore_window == action.desired.version;
            let closes = policy.schedule.closes_at(snapshot.now).filter(|_| !exempt);
            prop_assert!(closes.is_none_or(|closes| expiry <= closes), "{action:?} {closes:?}");
        }
    }

    #[test]
    fn executed_starts_stay_within_a_number(cluster in cluster(), limit in 1..4_usize) {
        let mut cluster = cluster;
        let policy = json!({"nodeSelector": {}, "maxConcurrentUpdates": limit});
        cluster.policies = BTreeMap::from([("one".to_owned(), policy)]);
        let snapshot = cluster.snapshot();
        let mut starts = plan(&snapshot);
        starts.actions.retain(|action| action.verb == Verb::Start);
        let executed = after(&snapshot, &starts);
        prop_assert!(flying(&executed) <= flying(&snapshot).max(limit));
    }

    #[test]
    fn no_node_starts_a_version_it_or_too_many_others_failed_on(cluster in cluster()) {
        let snapshot = cluster.snapshot();
        let plan = plan(&snapshot);
        for action in plan.actions.iter().filter(|action| action.verb == Verb::Start) {
            let version = action.desired.version.as_ref();
            let own = plan.nodes[&action.node].failed.as_ref().map(|failed| &failed.version);
            prop_assert!(own != version, "{action:?}");
            let policy = action.desired.policy.as_ref().unwrap();
            let of_policy = plan.nodes.values().filter(|node_plan| *node_plan.owners == [policy.clone()]);
            let all = of_policy.clone().count();
            let failed = of_policy.filter_map(|node_plan| node_plan.failed.as_ref()).filter(|it| Some(&it.version) == version);
            let most = snapshot.policies[policy].accepted.as_ref().unwrap().halt_after.of(all);
            prop_assert!(most.is_none_or(|most| failed.count() < most), "{action:?}");
        }
    }
}
