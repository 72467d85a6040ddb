//! How a node is updated, how that ends, and from what it is decided (3, 4, 6 and 8).

use controller::action::Verb;

use super::caught;
use super::plans::{blind_to_health, fickle, restless, without};
use crate::RULES;
use crate::host::Flaw;
use crate::observer::Breach;
use crate::process::Rules;
use crate::run::run;

#[test]
fn a_node_that_is_restored_before_it_is_healthy_is_caught() {
    caught(Rules { plan: blind_to_health, ..RULES }, &[Breach::Health]);
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
fn a_node_that_is_never_restored_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::Restore), ..RULES };
    caught(rules, &[Breach::NoProgress]);
}

#[test]
fn a_failure_that_nobody_answers_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::Abort), ..RULES };
    caught(rules, &[Breach::NoProgress]);
}

#[test]
fn a_reboot_before_the_drain_has_ended_is_caught() {
    caught(Rules { flaw: Flaw::Impatient, ..RULES }, &[Breach::Reboot]);
}

#[test]
fn a_reboot_into_another_version_than_the_one_asked_for_is_caught() {
    caught(Rules { flaw: Flaw::Astray, ..RULES }, &[Breach::Reboot]);
}

#[test]
fn rules_that_decide_by_more_than_the_snapshot_are_caught() {
    let fickle = Rules { plan: fickle, unchecked: true, ..RULES };
    assert!((0..20).any(|seed| run(seed, fickle) != run(seed, fickle)));
}
