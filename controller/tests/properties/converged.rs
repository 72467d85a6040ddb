//! How it ends when nobody answers: everything is written that there is to write, and then nothing.

use std::sync::Arc;

use controller::action::Verb;
use controller::check::check;
use controller::plan::{Plan, plan};
use controller::shadow_status;
use controller::snapshot::{ShadowFacts, Snapshot};
use controller::status::statuses;
use proptest::prelude::*;

use crate::arbitrary::cluster;

/// How many plans it may take: for a spec, for the next one that follows from it, and for the statuses of both.
const PLANS: usize = 6;

/// The cluster with every spec of the plan stored, as if all writes had succeeded.
pub(crate) fn after(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut next = snapshot.clone();
    for action in &plan.actions {
        if action.verb == Verb::Delete {
            next.shadows.remove(&action.node);
        } else if let Some(ShadowFacts::Readable(shadow)) = next.shadows.get_mut(&action.node).map(Arc::make_mut) {
            shadow.desired = action.desired.clone();
        }
    }
    next
}

/// The cluster with everything stored that the plan asks for and that is said of it.
fn written(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut next = after(snapshot, plan);
    for said in shadow_status::changed(snapshot, plan) {
        let shadow = next.shadows.get_mut(&said.node).map(Arc::make_mut);
        if let Some(ShadowFacts::Readable(shadow)) = shadow {
            shadow.conditions = said.conditions;
            shadow.observed.as_mut().unwrap().failed = plan.nodes[&said.node].failed.as_deref().cloned();
        }
    }
    for (policy, status) in statuses(snapshot, plan, &check(snapshot, plan)) {
        next.policies.get_mut(&policy).unwrap().status = Some(status);
    }
    next
}

/// The cluster after so many plans, each of them carried out.
pub(crate) fn carried_out(snapshot: Snapshot, plans: usize) -> Snapshot {
    (0..plans).fold(snapshot, |snapshot, _| written(&snapshot, &plan(&snapshot)))
}

/// What is left to write.
fn left(snapshot: &Snapshot, plan: &Plan) -> Vec<String> {
    let desired_specs = plan.actions.iter().map(|action| format!("{action:?}"));
    let conditions = shadow_status::changed(snapshot, plan).into_iter().map(|said| format!("{said:?}"));
    let stored = |policy: &String| snapshot.policies[policy].status.as_ref();
    let statuses = statuses(snapshot, plan, &check(snapshot, plan));
    let statuses = statuses.into_iter().filter(|(policy, status)| stored(policy) != Some(status));
    desired_specs.chain(conditions).chain(statuses.map(|status| format!("{status:?}"))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn plans_that_are_carried_out_come_to_an_end_with_nothing_left_to_write(cluster in cluster()) {
        let snapshot = carried_out(cluster.snapshot(), PLANS);
        let plan = plan(&snapshot);
        prop_assert_eq!(left(&snapshot, &plan), Vec::<String>::new());
    }

    #[test]
    fn when_nothing_is_left_to_write_the_next_plan_is_due_later_and_not_at_once(cluster in cluster()) {
        let snapshot = carried_out(cluster.snapshot(), PLANS);
        let plan = plan(&snapshot);
        prop_assert!(plan.wake_at.is_none_or(|at| at > snapshot.now), "{:?}", plan.wake_at);
    }

    #[test]
    fn the_next_plan_is_due_no_later_than_something_changes(cluster in cluster()) {
        // Until then the plan stays what it is. Of messages some name a time once it is stored, and then stay.
        let mut snapshot = carried_out(cluster.snapshot(), PLANS);
        let now = plan(&snapshot);
        let Some(wake_at) = now.wake_at else { return Ok(()) };
        snapshot.now = wake_at.checked_sub(jiff::SignedDuration::from_millis(1)).unwrap().max(snapshot.now);
        let later = plan(&snapshot);
        prop_assert!(later.actions.is_empty(), "{:?}", later.actions);
        // A failure that lies in the future, by a clock that was put back, holds nobody until it has come.
        let to_come = |node: &String| {
            let shadow = snapshot.shadows.get(node).and_then(|shadow| shadow.readable());
            let observed = shadow.and_then(|shadow| shadow.observed.as_ref());
            let failures = observed.map(|observed| (observed.failed_at, observed.failure.as_ref().map(|failure| failure.time)));
            failures.is_some_and(|(counted, told)| counted.max(told) > Some(cluster.now()))
        };
        let state = |plan: &Plan| -> Vec<_> {
            let nodes = plan.nodes.iter().filter(|(node, _)| !to_come(node));
            nodes.map(|(node, it)| (node.clone(), it.hold.as_ref().map(|hold| hold.reason))).collect()
        };
        prop_assert_eq!(state(&later), state(&now));
    }
}
