//! For each invariant a rule that is broken on purpose: the simulation must catch it, or it would prove nothing.

use std::sync::Arc;

use api::amount::Amount;
use controller::{
    action::{Action, Verb},
    check::Broken,
    plan::{Plan, plan},
    snapshot::Snapshot,
};

use jiff::SignedDuration;

use crate::{RULES, WHIMSICAL, host::Flaw, observer::Breach, process::Rules, run::run};

/// How many seeds it may take.
const SEEDS: u64 = 500;

/// Runs clusters under broken rules until one breaches what they must breach. Others may be breached before in other clusters.
fn caught(rules: Rules, as_one_of: &[Breach]) {
    let rules = Rules { unchecked: true, ..rules };
    let breaches = (0..SEEDS).filter_map(|seed| run(seed, rules).breach.map(|breach| (seed, breach)));
    let found = breaches.take(20).find(|(_, (breach, _))| as_one_of.contains(breach));
    let Some((seed, (breach, what))) = found else { panic!("{as_one_of:?} is not caught") };
    eprintln!("seed {seed}: {breach:?} {}", what.lines().next().unwrap_or_default());
}

/// Runs clusters under broken rules, with the check as it is, until it refuses a plan for this reason.
fn refused(rules: Rules, broken: Broken) {
    let breaches = (0..SEEDS).filter_map(|seed| run(seed, rules).breach);
    let found = breaches.take(20).any(|(breach, _)| breach == Breach::Refused(broken));
    assert!(found, "no plan is refused with {broken:?}");
}

fn with_policies(snapshot: &Snapshot, edit: fn(&mut api::Policy)) -> Snapshot {
    let mut snapshot = snapshot.clone();
    snapshot.policies.values_mut().filter_map(|policy| policy.accepted.as_mut().ok()).for_each(edit);
    snapshot
}

fn limitless(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.max_concurrent_updates = Amount::Unlimited))
}

fn deaf_to_the_pause(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.paused = false))
}

fn careless_of_availability(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.max_unavailable = None))
}

fn mixing_zones(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.topology_key = None))
}

fn deaf_to_holds(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    snapshot.nodes.values_mut().for_each(|node| Arc::make_mut(node).hold = None);
    plan(&snapshot)
}

/// The first policy takes every node.
fn greedy(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    if let Some(policy) = snapshot.policies.values_mut().next() {
        policy.priority = Some(1);
        policy.selector = None;
    }
    plan(&snapshot)
}

fn with_gos_for_an_hour(snapshot: &Snapshot) -> Plan {
    let mut plan = plan(snapshot);
    for action in plan.actions.iter_mut().filter(|action| action.verb == Verb::Go) {
        action.order.disrupt_not_after = snapshot.now.checked_add(SignedDuration::from_hours(1)).ok();
    }
    plan
}

/// Writes what is there already.
fn restless(snapshot: &Snapshot) -> Plan {
    let mut plan = plan(snapshot);
    let written: Vec<_> = plan.actions.iter().map(|action| action.shadow.clone()).collect();
    let shadows = snapshot.shadows.values().filter_map(|shadow| shadow.readable());
    let others = shadows.filter(|shadow| !written.contains(&shadow.name));
    plan.actions.extend(others.map(|shadow| Action::new(Verb::Rest, shadow, shadow.order.clone())));
    plan
}

fn without(snapshot: &Snapshot, verb: Verb) -> Plan {
    let mut plan = plan(snapshot);
    plan.actions.retain(|action| action.verb != verb);
    plan
}

/// Starts as it should, but gives the go to everything that is staged.
fn generous(snapshot: &Snapshot) -> Plan {
    let mut right = plan(snapshot);
    let gos: Vec<Action> = limitless(snapshot).actions.into_iter().filter(|action| action.verb == Verb::Go).collect();
    right.actions.retain(|action| gos.iter().all(|go| go.shadow != action.shadow));
    right.actions.extend(gos);
    right
}

#[test]
fn a_start_beyond_the_limit_is_caught() {
    caught(Rules { plan: limitless, ..RULES }, &[Breach::InFlight]);
    refused(Rules { plan: limitless, ..RULES }, Broken::InFlight);
}

#[test]
fn a_go_beyond_the_limit_is_caught() {
    caught(Rules { plan: generous, ..RULES }, &[Breach::Disrupted]);
    refused(Rules { plan: generous, ..RULES }, Broken::Disrupted);
}

#[test]
fn a_start_in_a_pause_is_caught() {
    caught(Rules { plan: deaf_to_the_pause, ..RULES }, &[Breach::Paused]);
    refused(Rules { plan: deaf_to_the_pause, ..RULES }, Broken::Paused);
}

#[test]
fn a_start_beyond_what_may_be_unavailable_is_caught() {
    caught(Rules { plan: careless_of_availability, ..RULES }, &[Breach::Unavailable]);
    refused(Rules { plan: careless_of_availability, ..RULES }, Broken::Unavailable);
}

#[test]
fn zones_out_together_are_caught() {
    caught(Rules { plan: mixing_zones, ..RULES }, &[Breach::Topology]);
    refused(Rules { plan: mixing_zones, ..RULES }, Broken::Topology);
}

#[test]
fn a_start_of_a_held_node_is_caught() {
    caught(Rules { plan: deaf_to_holds, ..RULES }, &[Breach::Held]);
    refused(Rules { plan: deaf_to_holds, ..RULES }, Broken::Node);
}

#[test]
fn a_start_under_anothers_policy_is_caught() {
    caught(Rules { plan: greedy, ..RULES }, &[Breach::Owner]);
    refused(Rules { plan: greedy, ..RULES }, Broken::Policy);
}

#[test]
fn a_go_that_holds_for_too_long_is_caught() {
    caught(Rules { plan: with_gos_for_an_hour, ..RULES }, &[Breach::Expiry]);
    refused(Rules { plan: with_gos_for_an_hour, ..RULES }, Broken::Expiry);
}

#[test]
fn a_cordon_that_is_left_behind_is_caught() {
    caught(Rules { flaw: Flaw::Careless, ..RULES }, &[Breach::NotRestored, Breach::NoProgress]);
}

#[test]
fn writes_without_end_in_a_converged_cluster_are_caught() {
    caught(Rules { plan: restless, ..RULES }, &[Breach::NoProgress]);
}

#[test]
fn a_reboot_without_a_drain_is_caught() {
    caught(Rules { flaw: Flaw::Reckless, ..RULES }, &[Breach::Reboot]);
}

#[test]
fn a_node_that_is_never_given_back_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::GiveBack), ..RULES };
    caught(rules, &[Breach::NoProgress]);
}

#[test]
fn a_failure_that_nobody_answers_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::Reset), ..RULES };
    caught(rules, &[Breach::NoProgress]);
}

#[test]
fn own_writes_that_do_not_count_are_caught() {
    caught(Rules { forgetful: true, ..WHIMSICAL }, &[Breach::InFlight, Breach::Disrupted]);
}

#[test]
fn a_new_leader_that_does_not_wait_is_caught() {
    caught(Rules { hasty: true, ..WHIMSICAL }, &[Breach::InFlight, Breach::Disrupted]);
}
