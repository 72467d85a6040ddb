//! The rows one would ask about first. The report is stored where it comes first, so each row shows both.

use agent::step::{Action, next_step};
use api::shadow::{Activity, State};

use crate::cases::{Approval, Case, Intent, OnHost, OnLock, Remembered, approved, reported};

type Row = (Case, &'static str);

const IDLE: State = State::Idle;
const STAGE: State = State::StagedAndPerformedUpdate;
const APPROVED: State = State::RebootedIntoUpdate;
const MONITOR: State = State::MonitoringUpdate;

fn row(case: &Case) -> String {
    let mut observation = case.observation();
    let report = match reported(&mut observation).map(|step| step.action) {
        Some(Action::Report(status)) => {
            let intent = if status.rebooting.is_some() { " +intent" } else { "" };
            format!("{:?}/{:?}{intent}", status.current_state, status.activity.unwrap())
        }
        _ => "-".to_owned(),
    };
    let step = next_step(&observation);
    format!("{report} | {} | {}", step.action.as_str(), step.reason)
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
fn a_started_version_is_staged() {
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
        (case(STAGE, IDLE, Activity::Staging, OnHost::AvailableOther), "- | refresh | LockUnseen"),
        (case(STAGE, IDLE, Activity::Staging, OnHost::StagedFalsely), "- | refresh | RefreshDue"),
        (
            case(STAGE, IDLE, Activity::Staging, OnHost::Staged),
            "StagedAndPerformedUpdate/Staged | wait | AwaitApproval",
        ),
        (case(STAGE, STAGE, Activity::Staged, OnHost::Uninitialised), "Idle/Staging | refresh | RefreshDue"),
    ]);
}

#[test]
fn an_approval_is_followed_to_the_reboot() {
    let case = Case::new;
    assert_rows(&[
        (
            with(case(APPROVED, STAGE, Activity::Staged, OnHost::Staged), Remembered::Nothing),
            "- | refresh | RefreshDue",
        ),
        (
            case(APPROVED, STAGE, Activity::Staged, OnHost::Staged),
            "StagedAndPerformedUpdate/Draining | drain | Approved",
        ),
        (
            Case { approval: Approval::Expired, ..case(APPROVED, STAGE, Activity::Staged, OnHost::Staged) },
            "StagedAndPerformedUpdate/Staged | drain | ApprovalExpired",
        ),
        (
            Case { approval: Approval::Absent, ..case(APPROVED, STAGE, Activity::Staged, OnHost::Staged) },
            "- | wait | ApprovalAbsent",
        ),
        (
            with(case(APPROVED, STAGE, Activity::Draining, OnHost::Staged), Remembered::Drained),
            "StagedAndPerformedUpdate/Activating | reread | RereadDue",
        ),
        (
            with(case(APPROVED, STAGE, Activity::Activating, OnHost::Staged), Remembered::DrainedAndReread),
            "- | activate | ActivateApproved",
        ),
        (
            with(case(APPROVED, STAGE, Activity::Activating, OnHost::Ready), Remembered::Drained),
            "- | drain | DrainAgain",
        ),
        (
            with(case(APPROVED, STAGE, Activity::Activating, OnHost::Ready), Remembered::DrainedActivated),
            "StagedAndPerformedUpdate/Rebooting +intent | reboot | RebootApproved",
        ),
        (
            with(case(APPROVED, STAGE, Activity::Activating, OnHost::Ready), Remembered::DrainedLongAgo),
            "- | drain | DrainAgain",
        ),
        (
            case(APPROVED, STAGE, Activity::Draining, OnHost::ReadyOther),
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
                ..case(APPROVED, STAGE, Activity::Rebooting, OnHost::Uninitialised)
            },
            "RebootedIntoUpdate/Verifying +intent | wait | AwaitVerdict",
        ),
        (
            Case { intent: Intent::OtherBoot, ..case(APPROVED, STAGE, Activity::Rebooting, OnHost::Uninitialised) },
            "ErrorReset/GivingBack | wait | Failed",
        ),
    ]);
}

#[test]
fn what_was_begun_is_restored() {
    let case = Case::new;
    assert_rows(&[
        (
            Case { running: approved(), ..case(MONITOR, APPROVED, Activity::Verifying, OnHost::Uninitialised) },
            "RebootedIntoUpdate/GivingBack | include | Restore",
        ),
        (
            Case { running: approved(), ..case(IDLE, MONITOR, Activity::Idle, OnHost::Uninitialised) },
            "MonitoringUpdate/GivingBack | unpin | RestoreLockDue",
        ),
        (
            case(IDLE, STAGE, Activity::Activating, OnHost::Ready),
            "StagedAndPerformedUpdate/GivingBack | deactivate | UnapprovedReady",
        ),
        (
            case(IDLE, STAGE, Activity::Staged, OnHost::Staged),
            "StagedAndPerformedUpdate/GivingBack | include | Restore",
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
        (
            case(STAGE, STAGE, Activity::Draining, OnHost::Staged),
            "StagedAndPerformedUpdate/Staged | wait | AwaitApproval",
        ),
        (case(STAGE, STAGE, Activity::Staged, OnHost::Ready), "Idle/Staging | deactivate | UnapprovedReady"),
    ]);
}

#[test]
fn the_host_is_held_to_the_approved_version_before_that_is_prepared() {
    let case = |lock| Case { lock, ..Case::new(STAGE, IDLE, Activity::Staging, OnHost::Available) };
    assert_rows(&[
        (case(OnLock::NotRead), "- | read-lock | SetLockDue"),
        (case(OnLock::Latest), "Idle/Staging | pin | SetLockDue"),
        (case(OnLock::LatestRecorded), "- | pin | SetLockDue"),
        (case(OnLock::ApprovedRecorded), "- | prepare | StageApproved"),
        (case(OnLock::Approved), "Idle/Staging | prepare | StageApproved"),
        (case(OnLock::Administrators), "Idle/Staging | wait | LockedByOthers"),
        (case(OnLock::TheirsRecorded), "Idle/Staging | wait | LockedByOthers"),
    ]);
}

#[test]
fn only_our_own_lock_is_restored() {
    let case = |lock| Case { lock, ..Case::new(IDLE, IDLE, Activity::Idle, OnHost::Available) };
    assert_rows(&[
        (case(OnLock::UnreadRecorded), "Idle/GivingBack | read-lock | RestoreLockDue"),
        (case(OnLock::ApprovedRecorded), "Idle/GivingBack | unpin | RestoreLockDue"),
        (case(OnLock::LatestRecorded), "Idle/Idle | wait | NothingToDo"),
        (case(OnLock::TheirsRecorded), "Idle/Idle | wait | NothingToDo"),
        (case(OnLock::Administrators), "Idle/Idle | wait | NothingToDo"),
        (case(OnLock::Approved), "Idle/Idle | wait | NothingToDo"),
    ]);
}
