//! What begins without the right to (2).

use controller::action::Verb;
use controller::check::Broken;

use super::plans::{
    deaf_to_halts, deaf_to_holds, deaf_to_selectors, deaf_to_the_pause, deaf_to_windows, greedy, greedy_for_versions,
    partial, upside_down, with_approvals_for_an_hour, without,
};
use super::{caught, refused};
use crate::RULES;
use crate::host::Flaw;
use crate::observer::Breach;
use crate::process::Rules;

#[test]
fn a_start_in_a_pause_is_caught() {
    caught(Rules { plan: deaf_to_the_pause, ..RULES }, &[Breach::Paused]);
    refused(Rules { plan: deaf_to_the_pause, ..RULES }, Broken::Paused);
}

#[test]
fn an_approval_that_outlasts_its_window_is_caught() {
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
fn an_approval_that_is_not_withdrawn_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::Withdraw), plain: true, ..RULES };
    caught(rules, &[Breach::Paused]);
}

#[test]
fn a_held_node_that_does_not_go_back_to_idle_is_caught() {
    let rules = Rules { plan: |snapshot| without(snapshot, Verb::Unschedule), plain: true, ..RULES };
    caught(rules, &[Breach::Held]);
}

#[test]
fn an_approval_that_holds_for_too_long_is_caught() {
    caught(Rules { plan: with_approvals_for_an_hour, ..RULES }, &[Breach::Expiry]);
    refused(Rules { plan: with_approvals_for_an_hour, ..RULES }, Broken::Expiry);
}

#[test]
fn a_disruption_under_an_approval_that_has_expired_is_caught() {
    caught(Rules { flaw: Flaw::Late, ..RULES }, &[Breach::Late]);
}
