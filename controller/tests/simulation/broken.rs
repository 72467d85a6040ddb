//! For each invariant a rule that is broken on purpose: the simulation must catch it, or it would prove nothing.

use std::sync::Arc;

use api::amount::Amount;
use controller::{
    action::{Action, Verb},
    check::Broken,
    plan::{Plan, plan},
    snapshot::{ShadowFacts, Snapshot},
};

use jiff::SignedDuration;

use crate::{RULES, WHIMSICAL, host::Flaw, observer::Breach, process::Rules, run::run};

/// How many seeds it may take.
const SEEDS: u64 = 3000;

/// Runs clusters under broken rules until one breaches what they must breach. Others may be breached before in other clusters.
fn caught(rules: Rules, as_one_of: &[Breach]) {
    let rules = Rules { unchecked: true, ..rules };
    let breaches = (0..SEEDS).filter_map(|seed| run(seed, rules).breach.map(|breach| (seed, breach)));
    let found = breaches.take(500).find(|(_, (breach, _))| as_one_of.contains(breach));
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

fn deaf_to_windows(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.schedule = api::schedule::Schedule::default()))
}

fn deaf_to_halts(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.halt_after = Amount::Unlimited))
}

fn greedy_for_versions(snapshot: &Snapshot) -> Plan {
    plan(&with_policies(snapshot, |policy| policy.versions = api::versions::VersionRule::default()))
}

/// Every node is as healthy as it was before.
fn blind_to_health(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    snapshot.nodes.values_mut().for_each(|node| Arc::make_mut(node).ready = true);
    plan(&snapshot)
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
        policy.priority = Some(100);
        policy.selector = None;
    }
    plan(&snapshot)
}

/// The lowest priority comes first.
fn upside_down(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    for policy in snapshot.policies.values_mut() {
        policy.priority = policy.priority.map(|priority| -priority);
    }
    plan(&snapshot)
}

/// Of policies of the same priority one is preferred.
fn partial(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    for (at, policy) in (0..).zip(snapshot.policies.values_mut()) {
        policy.priority = policy.priority.map(|priority| 10 * priority + at);
    }
    plan(&snapshot)
}

/// Policies keep the nodes that they had when they were made: those of the pool they are called after.
fn deaf_to_selectors(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    for (name, policy) in &mut snapshot.policies {
        policy.selector = Some([("pool".to_owned(), name.clone())].into_iter().collect());
    }
    plan(&snapshot)
}

/// A node that is under way counts for the policy it belongs to now, and not for the one it began under.
fn forgetful_of_the_beginning(snapshot: &Snapshot) -> Plan {
    let mut right = plan(snapshot);
    let mut moved = snapshot.clone();
    for (node, facts) in &mut moved.shadows {
        let owners = right.nodes.get(node).map(|standing| standing.owners.as_slice()).unwrap_or_default();
        let Some(began) = facts.readable().and_then(|shadow| shadow.order.policy.clone()) else { continue };
        if !owners.contains(&began)
            && let ShadowFacts::Readable(shadow) = Arc::make_mut(facts)
        {
            shadow.order.policy = owners.first().cloned();
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
fn a_go_that_outlasts_its_window_is_caught() {
    caught(Rules { plan: deaf_to_windows, ..RULES }, &[Breach::Window]);
    refused(Rules { plan: deaf_to_windows, ..RULES }, Broken::Window);
}

#[test]
fn a_start_on_a_version_that_has_failed_is_caught() {
    caught(Rules { plan: deaf_to_halts, ..RULES }, &[Breach::Halted]);
    refused(Rules { plan: deaf_to_halts, ..RULES }, Broken::Halted);
}

#[test]
fn a_start_on_a_version_that_may_not_be_taken_is_caught() {
    caught(Rules { plan: greedy_for_versions, ..RULES }, &[Breach::Version]);
    refused(Rules { plan: greedy_for_versions, ..RULES }, Broken::Version);
}

#[test]
fn a_node_that_is_given_back_before_it_is_healthy_is_caught() {
    caught(Rules { plan: blind_to_health, ..RULES }, &[Breach::Health]);
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
fn a_start_under_a_policy_of_lower_priority_is_caught() {
    caught(Rules { plan: upside_down, ..RULES }, &[Breach::Owner]);
    refused(Rules { plan: upside_down, ..RULES }, Broken::Policy);
}

#[test]
fn a_start_of_a_node_that_two_policies_claim_is_caught() {
    caught(Rules { plan: partial, ..RULES }, &[Breach::Owner]);
    refused(Rules { plan: partial, ..RULES }, Broken::Policy);
}

#[test]
fn a_start_under_a_policy_that_has_let_the_node_go_is_caught() {
    caught(Rules { plan: deaf_to_selectors, ..RULES }, &[Breach::Owner]);
    refused(Rules { plan: deaf_to_selectors, ..RULES }, Broken::Policy);
}

#[test]
fn a_node_that_does_not_count_for_the_policy_it_began_under_is_caught() {
    caught(Rules { plan: forgetful_of_the_beginning, ..RULES }, &[Breach::InFlight, Breach::Disrupted]);
    refused(Rules { plan: forgetful_of_the_beginning, ..RULES }, Broken::InFlight);
}

#[test]
fn a_go_that_is_not_taken_back_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::Withdraw), plain: true, ..RULES };
    caught(rules, &[Breach::Paused]);
}

#[test]
fn a_held_node_that_does_not_go_back_to_idle_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::Return), plain: true, ..RULES };
    caught(rules, &[Breach::Held]);
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
