//! What holds in every case.

use std::time::Duration;

use agent::memory::Issued;
use agent::observe::{Host, Observation, ShadowReading};
use agent::step::{Action, Reason, Step, next_step};
use agent::updates::{Command, UpdateState, UpdateStatus, Updates};
use api::Shadow;
use api::shadow::{Activity, FailureKind, Rebooting, State};
use semver::Version;

use crate::cases::{
    Approval, BOOT, CLOCK, Case, OnHost, OnLock, Remembered, THEIRS, approved, every_case, offered, reported,
};

fn status(observation: &Observation) -> &UpdateStatus {
    match &observation.host {
        Host::Up { updates: Updates::Known(status), .. } => status,
        _ => panic!("the host's status is not known"),
    }
}

fn shadow(observation: &Observation) -> &Shadow {
    match &observation.shadow {
        ShadowReading::Known(shadow) => shadow,
        _ => panic!("there is a shadow in every case"),
    }
}

fn activity(observation: &Observation) -> Option<Activity> {
    shadow(observation).observed.as_ref().and_then(|report| report.activity)
}

/// Drained by an answer of the apiserver in this very pass, under the approval that the shadow shows.
fn assert_drained(observation: &Observation, case: &Case) {
    let drained = observation.memory.on.drained.as_ref().expect("drained");
    assert_eq!(shadow(observation).desired.approval().as_ref(), Some(&drained.approval), "{case:?}");
    assert_eq!(status(observation).staged(), Some(&approved()), "{case:?}");
    assert_ne!(case.running, approved(), "{case:?}");
}

/// What was there is stored before, and what somebody else has set is left alone.
fn assert_own_lock(observation: &Observation, step: &Step, case: &Case) {
    let stored = shadow(observation).observed.as_ref().and_then(|report| report.version_lock_before.as_ref());
    match &step.action {
        Action::SetLock { from, before, to } => {
            assert!(matches!(case.desired, State::StagedAndPerformedUpdate | State::RebootedIntoUpdate), "{case:?}");
            assert_eq!((stored, to), (Some(before), &approved()), "{case:?}");
            assert_eq!(observation.memory.on.lock.as_ref(), Some(from), "{case:?}");
            assert_ne!(from, THEIRS, "{case:?}");
        }
        Action::RestoreLock { from, to } => {
            assert!(matches!(case.desired, State::Idle | State::MonitoringUpdate | State::ErrorReset), "{case:?}");
            assert_eq!((from.as_str(), stored), ("1.20.0", Some(to)), "{case:?}");
        }
        _ => {}
    }
}

fn assert_safe(observation: &Observation, step: &Step, case: &Case) {
    let desired = case.desired;
    let state = || status(observation).update_state;
    match &step.action {
        Action::Reboot => {
            assert_drained(observation, case);
            let drained = observation.memory.on.drained.as_ref().unwrap();
            assert!(drained.activated && CLOCK - drained.at < Duration::from_secs(60), "{case:?}");
            assert_eq!(state(), UpdateState::Ready, "{case:?}");
            let intent =
                Rebooting { version: approved(), from_version: case.running.clone(), boot_id: BOOT.to_owned() };
            assert_eq!(shadow(observation).observed.as_ref().unwrap().rebooting, Some(intent), "{case:?}");
            assert_eq!(activity(observation), Some(Activity::Rebooting), "{case:?}");
        }
        Action::Command(Command::Activate) => {
            assert_drained(observation, case);
            assert!(observation.memory.on.reread, "{case:?}");
            assert_eq!(state(), UpdateState::Staged, "{case:?}");
            assert_ne!(case.on_host, OnHost::StagedFalsely, "{case:?}");
            assert_eq!(activity(observation), Some(Activity::Activating), "{case:?}");
        }
        Action::Drain { approval, activated } => {
            assert_eq!(shadow(observation).desired.approval().as_ref(), Some(approval), "{case:?}");
            assert_eq!(*activated, state() == UpdateState::Ready, "{case:?}");
            assert_eq!(status(observation).staged(), Some(&approved()), "{case:?}");
            assert!(matches!(case.on_host, OnHost::Staged | OnHost::Ready), "{case:?}");
            assert_ne!(case.running, approved(), "{case:?}");
            // Without a valid approval the disruption is known to have begun, or the apiserver is asked whether it has.
            let begun = matches!(case.activity, Activity::Activating | Activity::Rebooting);
            assert!(
                begun
                    || case.approval == Approval::Valid
                    || step.reason == Reason::ApprovalExpired
                    || case.remembered == Remembered::DrainedLongAgo
                    || step.reason == Reason::DrainAgain,
                "{case:?} {step:?}"
            );
        }
        Action::Command(Command::Prepare) => {
            assert!(matches!(desired, State::StagedAndPerformedUpdate | State::RebootedIntoUpdate), "{case:?}");
            assert_eq!(offered(observation).unwrap().chosen, Some(approved()), "{case:?}");
            assert_ne!(state(), UpdateState::Ready, "{case:?}");
            assert!(matches!(case.lock, OnLock::Approved | OnLock::ApprovedRecorded), "{case:?}");
        }
        Action::SetLock { .. } | Action::RestoreLock { .. } => assert_own_lock(observation, step, case),
        Action::Uncordon | Action::Include => {
            assert!(matches!(desired, State::Idle | State::MonitoringUpdate | State::ErrorReset), "{case:?}");
        }
        Action::Command(Command::Deactivate) => assert_eq!(state(), UpdateState::Ready, "{case:?}"),
        Action::Command(Command::Refresh) => assert_ne!(case.on_host, OnHost::Busy, "{case:?}"),
        Action::Wait(time) => assert!(!time.is_zero(), "{case:?}"),
        Action::Command(Command::Other) | Action::Exit | Action::Create => panic!("{case:?}: {step:?}"),
        Action::Reread | Action::Report(_) | Action::ReadLock => {}
        Action::Exclude(_) => panic!("no case has a wait: {case:?}"),
    }
}

#[test]
fn every_case_has_a_safe_step_and_a_report_is_made_once() {
    let mut cases = 0;
    for case in every_case() {
        cases += 1;
        let mut observation = case.observation();
        if let Some(report) = reported(&mut observation) {
            assert_safe(&observation, &report, &case);
        }
        let step = next_step(&observation);
        assert!(!matches!(step.action, Action::Report(_)), "{case:?} reports twice: {step:?}");
        assert_safe(&observation, &step, &case);
    }
    assert_eq!(cases, 5 * 6 * 12 * 7 * 3 * (4 * 3 * 3 + 2 * 7));
}

#[test]
fn an_order_other_than_the_approval_disrupts_nothing() {
    for case in every_case().filter(|case| case.desired != State::RebootedIntoUpdate) {
        let mut observation = case.observation();
        reported(&mut observation);
        let action = next_step(&observation).action;
        assert!(
            !matches!(action, Action::Drain { .. } | Action::Reboot | Action::Command(Command::Activate)),
            "{case:?}"
        );
        if case.desired == State::Idle || case.desired == State::MonitoringUpdate {
            assert_ne!(action, Action::Command(Command::Prepare), "{case:?}");
        }
    }
}

#[test]
fn an_unapproved_image_is_deactivated_before_anything_else_is_done_with_it() {
    let held = |case: &Case| case.remembered == Remembered::AskedToReboot || case.running == approved();
    let desired_specs = [State::StagedAndPerformedUpdate, State::RebootedIntoUpdate];
    let intent_pending =
        |case: &Case| case.intent == crate::cases::Intent::OtherBoot && case.desired == desired_specs[1];
    let ready = [OnHost::ReadyOther, OnHost::Ready];
    for case in every_case()
        .filter(|case| desired_specs.contains(&case.desired) && ready.contains(&case.on_host) && !held(case))
    {
        // Under the approval, the approved image may be active.
        if case.desired == desired_specs[1] && (case.on_host == OnHost::Ready || intent_pending(&case)) {
            continue;
        }
        let mut observation = case.observation();
        reported(&mut observation);
        assert_eq!(next_step(&observation).action, Action::Command(Command::Deactivate), "{case:?}");
    }
}

#[test]
fn without_an_approval_in_the_order_nothing_is_begun() {
    for case in
        every_case().filter(|case| case.desired == State::RebootedIntoUpdate && case.approval == Approval::Absent)
    {
        let mut observation = case.observation();
        reported(&mut observation);
        let action = next_step(&observation).action;
        assert!(
            !matches!(action, Action::Drain { .. } | Action::Reboot | Action::Command(Command::Activate)),
            "{case:?}"
        );
    }
}

#[test]
fn after_the_reboot_was_asked_for_nothing_is_done_for_five_minutes() {
    for case in every_case().filter(|case| case.remembered == Remembered::AskedToReboot && case.on_host != OnHost::Away)
    {
        let mut observation = case.observation();
        reported(&mut observation);
        let step = next_step(&observation);
        assert_eq!(step.reason, Reason::AwaitReboot, "{case:?}");
        assert!(matches!(step.action, Action::Wait(_)), "{case:?}");
    }
}

#[test]
fn at_rest_there_is_only_waiting_until_the_check_is_due() {
    for on_host in
        [OnHost::Uninitialised, OnHost::Idle, OnHost::Available, OnHost::Staged, OnHost::Ready, OnHost::ReadyOther]
    {
        let mut observation = Case::new(State::Idle, State::Idle, Activity::Idle, on_host).observation();
        let ShadowReading::Known(shadow) = &mut observation.shadow else { unreachable!() };
        shadow.observed.as_mut().unwrap().version_lock_before = None;
        observation.memory.check_at = Some(CLOCK + Duration::from_secs(10));
        reported(&mut observation);
        let step = next_step(&observation);
        assert_eq!(step.action, Action::Wait(Duration::from_secs(10)), "{on_host:?}");
        assert_eq!(step.reason, Reason::NothingToDo, "{on_host:?}");
        observation.clock += Duration::from_secs(10);
        assert_eq!(next_step(&observation).action, Action::Command(Command::Refresh), "{on_host:?}");
    }
}

#[test]
fn a_boot_that_fell_back_is_a_failure_and_one_that_did_not_is_reported_as_rebooted() {
    let mut case = Case::new(
        State::RebootedIntoUpdate,
        State::StagedAndPerformedUpdate,
        Activity::Rebooting,
        OnHost::Uninitialised,
    );
    case.intent = crate::cases::Intent::OtherBoot;
    case.remembered = Remembered::Nothing;
    for (running, state) in [
        (Version::new(1, 19, 0), State::ErrorReset),
        (Version::new(1, 21, 0), State::ErrorReset),
        (approved(), State::RebootedIntoUpdate),
    ] {
        case.running = running;
        let Action::Report(status) = next_step(&case.observation()).action else { panic!("no report") };
        assert_eq!(status.current_state, state);
        assert_eq!(status.failure.is_some(), state == State::ErrorReset);
        assert_eq!(status.crash_count, i64::from(state == State::ErrorReset));
        assert_eq!(status.rebooting.is_some(), state != State::ErrorReset);
    }
}

/// Every case with a command of this process under way that the host still runs, fresh or far beyond its time.
fn every_case_at_work() -> impl Iterator<Item = (Case, Observation, Command, bool)> {
    let commands = [Command::Refresh, Command::Prepare, Command::Activate, Command::Deactivate];
    let base = every_case().filter(|case| case.on_host == OnHost::Busy && case.lock == OnLock::ApprovedRecorded);
    base.flat_map(move |case| commands.map(|command| (case.clone(), command))).flat_map(|(case, command)| {
        [false, true].map(|overdue| {
            let mut observation = case.observation();
            let age = Duration::from_secs(if overdue { 3600 } else { 5 });
            observation.memory.command = Some(Issued { command, before: Some("t1".to_owned()), at: CLOCK - age });
            observation.memory.unreadable_since = Some(CLOCK - age);
            (case.clone(), observation, command, overdue)
        })
    })
}

#[test]
fn while_the_host_works_for_us_nothing_else_is_asked_of_it_and_no_activation_is_forgotten() {
    let mut cases = 0;
    for (case, mut observation, command, overdue) in every_case_at_work() {
        cases += 1;
        let context = format!("{command:?}, overdue {overdue}: {case:?}");
        let before = shadow(&observation).observed.as_ref().map(|report| report.state);
        reported(&mut observation);
        let step = next_step(&observation);
        assert!(!matches!(step.action, Action::Report(_)), "reports twice: {context}");
        assert!(
            !matches!(step.action, Action::Command(_) | Action::Reboot | Action::Drain { .. }),
            "{step:?}: {context}"
        );
        let state = shadow(&observation).observed.as_ref().map(|report| report.state);
        if command == Command::Activate && !overdue && before != Some(State::Idle) {
            let desired_specs = [State::Idle, State::ErrorReset, State::MonitoringUpdate];
            let restored = desired_specs.contains(&case.desired) && case.remembered != Remembered::AskedToReboot;
            // A first report may say Idle, as there is no other state to begin with.
            assert!(!restored || before.is_none() || state == before, "{context}");
        }
    }
    assert!(cases > 10_000, "{cases} cases");
}

#[test]
fn an_activation_that_is_overdue_ends_in_a_failure_and_not_in_waiting() {
    let mut cases = 0;
    for (case, mut observation, command, overdue) in every_case_at_work() {
        let under_approval = case.desired == State::RebootedIntoUpdate && case.running != approved();
        let intent = case.intent == crate::cases::Intent::OtherBoot;
        let quiet = case.remembered == Remembered::AskedToReboot || case.reported == Some(State::ErrorReset);
        if command != Command::Activate || !overdue || !under_approval || intent || quiet {
            continue;
        }
        cases += 1;
        reported(&mut observation);
        let failure = shadow(&observation).observed.as_ref().and_then(|report| report.failure.clone());
        assert_eq!(failure.map(|failure| failure.kind), Some(FailureKind::Activate), "{case:?}");
    }
    assert!(cases > 100, "{cases} cases");
}
