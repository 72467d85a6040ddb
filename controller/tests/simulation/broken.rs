//! For each invariant a rule that is broken on purpose: the simulation must catch it, or it would prove nothing.

use api::amount::Amount;
use controller::{
    action::{Action, Verb},
    plan::{Plan, plan},
    snapshot::Snapshot,
};

use crate::{RULES, WHIMSICAL, observer::Breach, process::Rules, run::run};

/// How many seeds it may take.
const SEEDS: u64 = 60;

fn caught(rules: Rules, reckless: bool) -> Option<Breach> {
    let rules = Rules { unchecked: true, ..rules };
    let found = (0..SEEDS).find_map(|seed| run(seed, rules, reckless).breach.map(|breach| (seed, breach)));
    eprintln!("{found:?}");
    found.map(|(_, (breach, _))| breach)
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
    assert_eq!(caught(Rules { plan: limitless, ..RULES }, false), Some(Breach::InFlight));
}

#[test]
fn a_go_beyond_the_limit_is_caught() {
    assert_eq!(caught(Rules { plan: generous, ..RULES }, false), Some(Breach::Disrupted));
}

#[test]
fn a_start_in_a_pause_is_caught() {
    assert_eq!(caught(Rules { plan: deaf_to_the_pause, ..RULES }, false), Some(Breach::Paused));
}

#[test]
fn a_reboot_without_a_drain_is_caught() {
    assert_eq!(caught(RULES, true), Some(Breach::Reboot));
}

#[test]
fn a_node_that_is_never_given_back_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::GiveBack), ..RULES };
    assert_eq!(caught(rules, false), Some(Breach::NoProgress));
}

#[test]
fn a_failure_that_nobody_answers_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::Reset), ..RULES };
    assert_eq!(caught(rules, false), Some(Breach::NoProgress));
}

#[test]
fn own_writes_that_do_not_count_are_caught() {
    let caught = caught(Rules { forgetful: true, ..WHIMSICAL }, false);
    assert!(matches!(caught, Some(Breach::InFlight | Breach::Disrupted)), "{caught:?}");
}

#[test]
fn a_new_leader_that_does_not_wait_is_caught() {
    let caught = caught(Rules { hasty: true, ..WHIMSICAL }, false);
    assert!(matches!(caught, Some(Breach::InFlight | Breach::Disrupted)), "{caught:?}");
}
