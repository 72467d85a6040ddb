//! Whatever a host prints, what is reported of it can be stored: the apiserver refuses text that is no printable line.

use std::time::Duration;

use agent::memory::{Absence, Offered, Trouble};
use agent::observe::{Host, Observation, ShadowReading};
use agent::step::{Action, next_step};
use agent::updates::{Command, Updates};
use api::shadow::{Activity, BottlerocketShadowStatus, State, check};
use proptest::prelude::*;
use semver::Version;

use crate::cases::{CLOCK, Case, OnHost};

/// What programs print: lines, colours, and anything else.
fn printed() -> impl Strategy<Value = String> {
    "(?s).{0,1500}|(\\x1b\\[[0-9;]{0,4}m?|[a-z ]{1,9}|[\r\n\t\x07\x7f\u{9b}\u{202e}\u{2028}\u{200b}\u{feff}]){0,300}"
}

fn staging(on_host: OnHost) -> Observation {
    Case::new(State::StagedAndPerformedUpdate, State::Idle, Activity::Idle, on_host).observation()
}

fn away(why: String) -> Observation {
    let mut observation = Case::new(State::Idle, State::Idle, Activity::Idle, OnHost::Away).observation();
    observation.host = Host::Away { why, refused: false };
    let since = CLOCK - Duration::from_secs(60);
    observation.memory.away = Some(Absence { since, count: 9, retry_at: CLOCK });
    observation
}

fn unreadable(why: String) -> Observation {
    let mut observation = staging(OnHost::Unreadable);
    observation.host = Host::Up { running: Version::new(1, 19, 0), updates: Updates::Unreadable(why) };
    observation.memory.unreadable_since = Some(CLOCK - Duration::from_secs(3600));
    observation
}

fn failing(command: Command, on_host: OnHost, text: String) -> Observation {
    let mut observation = staging(on_host);
    observation.memory.on.trouble.insert(command, Trouble { count: 3, retry_at: CLOCK, text });
    observation
}

/// What is offered has any length as well; a version is ASCII by its own rules.
fn offered(length: usize) -> Observation {
    let mut observation = Case::new(State::Idle, State::Idle, Activity::Staging, OnHost::Available).observation();
    let long = Version::parse(&format!("1.30.0-{}", "a".repeat(length))).unwrap();
    observation.memory.offered = Some(Offered { chosen: Some(long.clone()), available: vec![long] });
    observation
}

fn reported(observation: &Observation) -> BottlerocketShadowStatus {
    match next_step(observation).action {
        Action::Report(status) => *status,
        other => panic!("nothing is reported: {other:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_reported_of_a_host_passes_the_apiservers_check(text in printed(), length in 1_usize..300) {
        for observation in [
            away(text.clone()),
            unreadable(text.clone()),
            failing(Command::Prepare, OnHost::Available, text.clone()),
            failing(Command::Refresh, OnHost::Idle, text),
        ] {
            let status = reported(&observation);
            prop_assert!(status.message.is_some());
            prop_assert_eq!(check(&status), Ok(()));
        }
        prop_assert_eq!(check(&reported(&offered(length))), Ok(()));
    }
}

/// A node that has to wait 90 s outside the load balancers, whose stored report says, in some words, when it may drain.
fn excluded(seconds: u64) -> Observation {
    let case = Case::new(
        State::RebootedIntoUpdate,
        State::StagedAndPerformedUpdate,
        Activity::ExcludingFromLoadBalancer,
        OnHost::Staged,
    );
    let mut observation = case.observation();
    let later = observation.now + Duration::from_secs(seconds);
    let ShadowReading::Known(shadow) = &mut observation.shadow else { unreachable!() };
    shadow.desired.exclusion_wait_seconds = 90;
    let report = shadow.observed.as_mut().unwrap();
    (report.drain_not_before, report.message) = (Some(later), Some("some other words".to_owned()));
    observation
}

#[test]
fn a_restarted_agent_knows_from_a_field_and_not_from_the_message_when_it_may_drain() {
    let mut observation = excluded(40);
    crate::cases::reported(&mut observation).unwrap();
    assert_eq!(next_step(&observation).action, Action::Wait(Duration::from_secs(40)));
}

#[test]
fn a_time_to_drain_that_belongs_to_another_wait_goes_before_the_exclusion_is_asked_for() {
    let mut observation = excluded(1000);
    let Action::Report(status) = next_step(&observation).action else { panic!("no report") };
    assert_eq!(status.drain_not_before, None);
    crate::cases::reported(&mut observation).unwrap();
    assert!(matches!(next_step(&observation).action, Action::Exclude(_)));
}

#[test]
fn a_host_that_answers_again_is_no_longer_said_to_be_silent_whatever_the_words_were() {
    let case = Case::new(State::StagedAndPerformedUpdate, State::ErrorReset, Activity::GivingBack, OnHost::Staged);
    let mut observation = case.observation();
    let now = observation.now;
    let ShadowReading::Known(shadow) = &mut observation.shadow else { unreachable!() };
    let report = shadow.observed.as_mut().unwrap();
    (report.host_unreachable_since, report.message) = (Some(now), Some("some other words".to_owned()));
    let Action::Report(status) = next_step(&observation).action else { panic!("no report") };
    assert_eq!((status.host_unreachable_since, status.message), (None, None));
}
