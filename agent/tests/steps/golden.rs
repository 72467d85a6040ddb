//! The rows one would ask about first. The report is stored where it comes first, so each row shows both.

use agent::step::{Act, next_step};
use api::shadow::{Activity, State};

use crate::cases::{Case, Go, Intent, OnHost, OnLock, Remembered, approved, reported};

type Row = (Case, &'static str);

const IDLE: State = State::Idle;
const STAGE: State = State::StagedAndPerformedUpdate;
const GO: State = State::RebootedIntoUpdate;
const MONITOR: State = State::MonitoringUpdate;

fn row(case: &Case) -> String {
    let mut observation = case.observation();
    let report = match reported(&mut observation).map(|step| step.act) {
        Some(Act::Observed(status)) => {
            let intent = if status.rebooting.is_some() { " +intent" } else { "" };
            format!("{:?}/{:?}{intent}", status.current_state, status.activity.unwrap())
        }
        _ => "-".to_owned(),
    };
    let step = next_step(&observation);
    format!("{report} | {} | {}", step.act.as_str(), step.why)
}

fn with(case: Case, remembered: Remembered) -> Case {
    Case { remembered, ..case }
}

fn assert_rows(rows: &[Row]) {
    let wrong: Vec<_> = rows.iter().filter(|(case, expected)| row(case) != *expected).collect();
    for (case, expected) in &wrong {
        eprintln!("{case:?}\n  expected {expected}\n  found    {}", row(case));
    }
    assert!(wrong.is_empty(), "{} rows differ", wrong.len());
}

#[test]
fn a_new_order_is_staged() {
    let case = Case::new;
    assert_rows(&[
        (
            Case { lock: OnLock::Latest, ..case(IDLE, IDLE, Activity::Idle, OnHost::Available) },
            "- | wait | NothingToDo",
        ),
        (
            with(case(STAGE, IDLE, Activity::Idle, OnHost::Available), Remembered::Nothing),
            "Idle/Staging | refresh | RefreshDue",
        ),
        (case(STAGE, IDLE, Activity::Staging, OnHost::Available), "- | prepare | StageApproved"),
        (case(STAGE, IDLE, Activity::Staging, OnHost::AvailableOther), "- | refresh | PinUnseen"),
        (case(STAGE, IDLE, Activity::Staging, OnHost::StagedFalsely), "- | refresh | RefreshDue"),
        (case(STAGE, IDLE, Activity::Staging, OnHost::Staged), "StagedAndPerformedUpdate/Staged | wait | AwaitGo"),
        (case(STAGE, STAGE, Activity::Staged, OnHost::Uninitialised), "Idle/Staging | refresh | RefreshDue"),
    ]);
}

#[test]
fn an_approval_is_followed_to_the_reboot() {
    let case = Case::new;
    assert_rows(&[
        (with(case(GO, STAGE, Activity::Staged, OnHost::Staged), Remembered::Nothing), "- | refresh | RefreshDue"),
        (case(GO, STAGE, Activity::Staged, OnHost::Staged), "StagedAndPerformedUpdate/Draining | drain | Go"),
        (
            Case { approval: Go::Expired, ..case(GO, STAGE, Activity::Staged, OnHost::Staged) },
            "StagedAndPerformedUpdate/Staged | drain | GoExpired",
        ),
        (Case { approval: Go::Absent, ..case(GO, STAGE, Activity::Staged, OnHost::Staged) }, "- | wait | GoAbsent"),
        (
            with(case(GO, STAGE, Activity::Draining, OnHost::Staged), Remembered::Drained),
            "StagedAndPerformedUpdate/Activating | reread | GoReread",
        ),
        (
            with(case(GO, STAGE, Activity::Activating, OnHost::Staged), Remembered::DrainedAndReread),
            "- | activate | ActivateApproved",
        ),
        (with(case(GO, STAGE, Activity::Activating, OnHost::Ready), Remembered::Drained), "- | drain | DrainAgain"),
        (
            with(case(GO, STAGE, Activity::Activating, OnHost::Ready), Remembered::DrainedActivated),
            "StagedAndPerformedUpdate/Rebooting +intent | reboot | RebootApproved",
        ),
        (
            with(case(GO, STAGE, Activity::Activating, OnHost::Ready), Remembered::DrainedLongAgo),
            "- | drain | DrainAgain",
        ),
        (
            case(GO, STAGE, Activity::Draining, OnHost::ReadyOther),
            "StagedAndPerformedUpdate/Staging | deactivate | UnapprovedReady",
        ),
    ]);
}

#[test]
fn after_the_boot_the_version_tells() {
    let case = Case::new;
    assert_rows(&[
        (
            Case {
                running: approved(),
                intent: Intent::OtherBoot,
                ..case(GO, STAGE, Activity::Rebooting, OnHost::Uninitialised)
            },
            "RebootedIntoUpdate/Verifying +intent | wait | AwaitVerdict",
        ),
        (
            Case { intent: Intent::OtherBoot, ..case(GO, STAGE, Activity::Rebooting, OnHost::Uninitialised) },
            "ErrorReset/GivingBack | wait | Failed",
        ),
    ]);
}

#[test]
fn what_was_begun_is_given_back() {
    let case = Case::new;
    assert_rows(&[
        (
            Case { running: approved(), ..case(MONITOR, GO, Activity::Verifying, OnHost::Uninitialised) },
            "RebootedIntoUpdate/GivingBack | include | GiveBack",
        ),
        (
            Case { running: approved(), ..case(IDLE, MONITOR, Activity::Idle, OnHost::Uninitialised) },
            "MonitoringUpdate/GivingBack | unpin | UnpinDue",
        ),
        (
            case(IDLE, STAGE, Activity::Activating, OnHost::Ready),
            "StagedAndPerformedUpdate/GivingBack | deactivate | UnapprovedReady",
        ),
        (
            case(IDLE, STAGE, Activity::Staged, OnHost::Staged),
            "StagedAndPerformedUpdate/GivingBack | include | GiveBack",
        ),
    ]);
}

#[test]
fn a_machine_that_is_going_down_reports_nothing_on_a_shadow_that_is_new() {
    let case = |reported| Case { reported, ..Case::new(IDLE, IDLE, Activity::Idle, OnHost::Ready) };
    assert_rows(&[
        (with(case(None), Remembered::AskedToReboot), "- | wait | AwaitReboot"),
        (with(case(None), Remembered::Nothing), "- | deactivate | UnapprovedReady"),
    ]);
}

#[test]
fn an_approval_that_was_withdrawn_leaves_the_image_staged() {
    let case = Case::new;
    assert_rows(&[
        (case(STAGE, STAGE, Activity::Draining, OnHost::Staged), "StagedAndPerformedUpdate/Staged | wait | AwaitGo"),
        (case(STAGE, STAGE, Activity::Staged, OnHost::Ready), "Idle/Staging | deactivate | UnapprovedReady"),
    ]);
}

#[test]
fn the_host_is_held_to_the_approved_version_before_that_is_prepared() {
    let case = |lock| Case { lock, ..Case::new(STAGE, IDLE, Activity::Staging, OnHost::Available) };
    assert_rows(&[
        (case(OnLock::Unread), "- | read-lock | PinDue"),
        (case(OnLock::Latest), "Idle/Staging | pin | PinDue"),
        (case(OnLock::LatestRecorded), "- | pin | PinDue"),
        (case(OnLock::ApprovedRecorded), "- | prepare | StageApproved"),
        (case(OnLock::Approved), "Idle/Staging | prepare | StageApproved"),
        (case(OnLock::Theirs), "Idle/Staging | wait | PinnedByOthers"),
        (case(OnLock::TheirsRecorded), "Idle/Staging | wait | PinnedByOthers"),
    ]);
}

#[test]
fn only_our_own_lock_is_put_back() {
    let case = |lock| Case { lock, ..Case::new(IDLE, IDLE, Activity::Idle, OnHost::Available) };
    assert_rows(&[
        (case(OnLock::UnreadRecorded), "Idle/GivingBack | read-lock | UnpinDue"),
        (case(OnLock::ApprovedRecorded), "Idle/GivingBack | unpin | UnpinDue"),
        (case(OnLock::LatestRecorded), "Idle/Idle | wait | NothingToDo"),
        (case(OnLock::TheirsRecorded), "Idle/Idle | wait | NothingToDo"),
        (case(OnLock::Theirs), "Idle/Idle | wait | NothingToDo"),
        (case(OnLock::Approved), "Idle/Idle | wait | NothingToDo"),
    ]);
}
