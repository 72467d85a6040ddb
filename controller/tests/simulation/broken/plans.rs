//! Rules that are broken on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::amount::Amount;
use controller::action::{Action, Verb};
use controller::plan::{Plan, plan};
use controller::snapshot::{ShadowFacts, Snapshot};
use jiff::SignedDuration;

fn with_policies(snapshot: &Snapshot, edit: fn(&mut api::Policy)) -> Snapshot {
    let mut snapshot = snapshot.clone();
    snapshot.policies.values_mut().filter_map(|policy| policy.accepted.as_mut().ok()).for_each(edit);
    snapshot
}

pub(super) fn limitless(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.max_concurrent_updates = Amount::Unlimited))
}

pub(super) fn deaf_to_the_pause(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.paused = false))
}

pub(super) fn careless_of_availability(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.max_unavailable = None))
}

pub(super) fn deaf_to_windows(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.schedule = api::schedule::Schedule::default()))
}

pub(super) fn deaf_to_halts(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.halt_after = Amount::Unlimited))
}

pub(super) fn greedy_for_versions(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.versions = api::versions::VersionRule::default()))
}

/// Every node is as healthy as it was before.
pub(super) fn blind_to_health(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    snapshot.nodes.values_mut().for_each(|node| Arc::make_mut(&mut node.object).ready = true);
    plan(&snapshot)
}

pub(super) fn mixing_zones(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.topology_key = None))
}

pub(super) fn deaf_to_holds(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    snapshot.nodes.values_mut().for_each(|node| Arc::make_mut(&mut node.object).hold = None);
    plan(&snapshot)
}

/// The first policy takes every node.
pub(super) fn greedy(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    if let Some(policy) = snapshot.policies.values_mut().next() {
        policy.priority = Some(100);
        policy.selector = None;
    }
    plan(&snapshot)
}

/// The lowest priority comes first.
pub(super) fn upside_down(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    for policy in snapshot.policies.values_mut() {
        policy.priority = policy.priority.map(|priority| -priority);
    }
    plan(&snapshot)
}

/// Of policies of the same priority one is preferred.
pub(super) fn partial(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    for (at, policy) in (0..).zip(snapshot.policies.values_mut()) {
        policy.priority = policy.priority.map(|priority| 10 * priority + at);
    }
    plan(&snapshot)
}

/// Policies keep the nodes that they had when they were made: those of the pool they are called after.
pub(super) fn deaf_to_selectors(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    for (name, policy) in &mut snapshot.policies {
        policy.selector = Some([("pool".to_owned(), name.clone())].into_iter().collect());
    }
    plan(&snapshot)
}

/// A node that is under way counts for the policy it belongs to now, and not for the one it began under.
pub(super) fn forgetful_of_the_beginning(snapshot: &Snapshot) -> Plan {
    let mut right = plan(snapshot);
    let mut moved = snapshot.clone();
    for (node, facts) in &mut moved.shadows {
        let owners = right.nodes.get(node).map(|node_plan| &*node_plan.owners).unwrap_or_default();
        let Some(began) = facts.readable().and_then(|shadow| shadow.desired.policy.clone()) else { continue };
        if !owners.contains(&began)
            && let ShadowFacts::Readable(shadow) = Arc::make_mut(facts)
        {
            shadow.desired.policy = owners.first().cloned();
        }
    }
    let wrong = plan(&moved).actions.into_iter().filter(|action| action.verb.is_limited());
    for action in wrong {
        if right.actions.iter().all(|other| other.shadow != action.shadow) {
            right.actions.push(action);
        }
    }
    right
}

pub(super) fn with_approvals_for_an_hour(snapshot: &Snapshot) -> Plan {
    let mut plan = plan(snapshot);
    for action in plan.actions.iter_mut().filter(|action| action.verb == Verb::Approve) {
        action.desired.disrupt_not_after = snapshot.now.checked_add(SignedDuration::from_hours(1)).ok();
    }
    plan
}

/// Writes what is there already.
pub(super) fn restless(snapshot: &Snapshot) -> Plan {
    let mut plan = plan(snapshot);
    let written: Vec<_> = plan.actions.iter().map(|action| action.shadow.clone()).collect();
    let shadows = snapshot.shadows.values().filter_map(|shadow| shadow.readable());
    let others = shadows.filter(|shadow| !written.contains(&shadow.name));
    plan.actions.extend(others.map(|shadow| Action::new(Verb::Clear, shadow, shadow.desired.clone())));
    plan
}

pub(super) fn without(snapshot: &Snapshot, verb: Verb) -> Plan {
    let mut plan = plan(snapshot);
    plan.actions.retain(|action| action.verb != verb);
    plan
}

/// Starts as it should, but approves everything that is staged.
pub(super) fn generous(snapshot: &Snapshot) -> Plan {
    let mut right = plan(snapshot);
    let approvals: Vec<Action> =
        limitless(snapshot).actions.into_iter().filter(|action| action.verb == Verb::Approve).collect();
    right.actions.retain(|action| approvals.iter().all(|approval| approval.shadow != action.shadow));
    right.actions.extend(approvals);
    right
}

/// Decides also by how often it was asked.
pub(super) fn fickle(snapshot: &Snapshot) -> Plan {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let mut random = fastrand::Rng::with_seed(ASKED.fetch_add(1, Ordering::Relaxed));
    let mut snapshot = snapshot.clone();
    let readable = snapshot.shadows.values_mut().filter_map(|shadow| match Arc::make_mut(shadow) {
        ShadowFacts::Readable(shadow) => shadow.observed.as_mut(),
        ShadowFacts::Unreadable { .. } => None,
    });
    readable.filter(|report| report.failed_at.is_none()).for_each(|report| report.crash_count = random.u32(..4));
    plan(&snapshot)
}
