//! Limits that are not kept (1).

use controller::check::Broken;

use super::plans::{careless_of_availability, forgetful_of_the_beginning, generous, limitless, mixing_zones};
use super::{caught, refused};
use crate::observer::Breach;
use crate::process::Rules;
use crate::{RULES, WHIMSICAL};

#[test]
fn a_start_beyond_the_limit_is_caught() {
    caught(Rules { plan: limitless, ..RULES }, &[Breach::InFlight]);
    refused(Rules { plan: limitless, ..RULES }, Broken::InFlight);
}

#[test]
fn an_approval_beyond_the_limit_is_caught() {
    caught(Rules { plan: generous, ..RULES }, &[Breach::Disrupted]);
    refused(Rules { plan: generous, ..RULES }, Broken::Disrupted);
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
fn a_node_that_does_not_count_for_the_policy_it_began_under_is_caught() {
    caught(Rules { plan: forgetful_of_the_beginning, ..RULES }, &[Breach::InFlight, Breach::Disrupted]);
    refused(Rules { plan: forgetful_of_the_beginning, ..RULES }, Broken::InFlight);
}

#[test]
fn own_writes_that_do_not_count_are_caught() {
    caught(Rules { forgetful: true, ..WHIMSICAL }, &[Breach::InFlight, Breach::Disrupted]);
}

#[test]
fn a_new_leader_that_does_not_wait_is_caught() {
    caught(Rules { hasty: true, ..WHIMSICAL }, &[Breach::InFlight, Breach::Disrupted]);
}
