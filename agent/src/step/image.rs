//! Getting the approved image into the staging partition, and knowing that it is in there.

use api::shadow::{Activity, FailureKind, State};
use semver::Version;

use super::action::{Action, Reason};
use super::command::{ask, given_up, occupied, overdue};
use super::decision::Decision;
use super::refresh::{check, is_fresh, unsupported};
use super::version_lock;
use super::view::{LONGEST_WAIT, View, begun};
use crate::updates::{Command, UpdateState, UpdateStatus, Updates};

/// What staging `version` asks for.
pub(super) fn stage(view: &View<'_>, version: &Version) -> Decision {
    if view.running != version && failed(view, version) {
        return after_failure(view);
    }
    let decision = Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::AwaitApproval)
        .state(State::StagedAndPerformedUpdate)
        .doing(Activity::Staged)
        .silent();
    if view.running == version {
        let decision = decision.saying(format!("{version} runs already"));
        return if view.ready() {
            decision.then(ask(view, Command::Deactivate, Reason::UnapprovedReady))
        } else {
            decision
        };
    }
    match obtain(view, version, false) {
        Some(obtaining) => obtaining,
        None => decision.then(check(view, Reason::AwaitApproval)),
    }
}

/// Whether what is asked for has failed, and the controller has not answered yet.
pub(super) fn failed(view: &View<'_>, version: &Version) -> bool {
    let Some(report) = &view.shadow.observed else { return false };
    let same = report.failure.as_ref().is_none_or(|failure| failure.version == *version);
    report.state == State::ErrorReset && same
}

/// Waits for the controller, with nothing left behind that a restart of the machine would boot.
pub(super) fn after_failure(view: &View<'_>) -> Decision {
    let decision = Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::Failed);
    if view.ready() || view.runs(Command::Deactivate) {
        return decision.then(ask(view, Command::Deactivate, Reason::UnapprovedReady));
    }
    decision
}

/// What it takes until the image of `version` is staged; `None` when it is. `activated` says whether it may be the one to
/// boot.
pub(super) fn obtain(view: &View<'_>, version: &Version, activated: bool) -> Option<Decision> {
    let status = view.status();
    if let Some(status) = status {
        let ready = status.update_state == UpdateState::Ready;
        let staged = status.update_state == UpdateState::Staged || (ready && activated);
        if staged && accepted(view, status, version) {
            return None;
        }
    }
    let decision = staging(view);
    if unsupported(view) {
        return Some(fail(view, "this image has no in-place updates".to_owned()));
    }
    if let Some(why) = overdue(view).or_else(|| given_up(view, Command::Refresh)) {
        return Some(fail(view, why));
    }
    if let Some(waiting) = occupied(view) {
        return Some(if matches!(view.updates, Updates::Busy) && view.o.memory.command.is_none() {
            foreign(view, &decision).then(waiting)
        } else {
            decision.then(waiting)
        });
    }
    if view.ready() {
        // Also when this fails again and again: an image that is not approved must not be booted.
        return Some(decision.then(ask(view, Command::Deactivate, Reason::UnapprovedReady)));
    }
    Some(prepare(view, version, decision))
}

/// A command of somebody else says nothing about ours: what was reported stays, unless nothing was.
fn foreign(view: &View<'_>, staging: &Decision) -> Decision {
    if view.reported().is_none() {
        return staging.clone();
    }
    Decision::as_reported(view, staging.action.clone(), staging.reason)
}

fn prepare(view: &View<'_>, version: &Version, decision: Decision) -> Decision {
    if let Some(why) = given_up(view, Command::Prepare).or_else(|| version_lock::given_up(view)) {
        return fail(view, why);
    }
    if let Some(first) = version_lock::set(view, version, &decision) {
        return first;
    }
    let offered = view.o.memory.offered.as_ref();
    let (Some(status), Some(offered), true) = (view.status(), offered, is_fresh(view)) else {
        return decision.then(ask(view, Command::Refresh, Reason::RefreshDue));
    };
    if offered.chosen.as_ref() != Some(version) {
        if version_lock::is_unseen(view, version) {
            return decision.then(ask(view, Command::Refresh, Reason::LockUnseen));
        }
        return decision.saying(not_offered(version, offered.chosen.as_ref())).then(check(view, Reason::NotOffered));
    }
    if status.running_is_unmarked() {
        let why = "the running image is not marked as good; staging another would destroy the only good one";
        return fail(view, why.to_owned());
    }
    match status.update_state {
        UpdateState::Available | UpdateState::Staged => {
            decision.then(ask(view, Command::Prepare, Reason::StageApproved))
        }
        UpdateState::Idle | UpdateState::Ready => decision.then(check(view, Reason::NotOffered)),
    }
}

/// The text for a host that would install something else.
pub(super) fn not_offered(version: &Version, chosen: Option<&Version>) -> String {
    match chosen {
        Some(other) => format!("the host would take {other} rather than {version}"),
        None => format!("the host is not offered {version}"),
    }
}

/// Whether the staged image is known to be that of `version`: because the prepare that wrote it is the host's last command;
/// because this process saw that, and nobody else has run a command since; or because an agent saw it and then reported the
/// image as staged, which is stored as `Staging` again before another one is prepared.
fn accepted(view: &View<'_>, status: &UpdateStatus, version: &Version) -> bool {
    if status.staged() != Some(version) {
        return false;
    }
    let last = status.most_recent_command.as_ref();
    if let Some(last) = last.filter(|last| last.cmd_type == Command::Prepare) {
        return last.wrote(version);
    }
    let memory = &view.o.memory;
    !memory.foreign && (memory.accepted.as_ref() == Some(version) || was_accepted(view))
}

fn was_accepted(view: &View<'_>) -> bool {
    let activity = view.activity();
    matches!(activity, Some(Activity::Staged)) || begun(activity)
}

/// Staging. A node whose image got lost is not staged any longer; under an approval its state stays, as the approval does.
fn staging(view: &View<'_>) -> Decision {
    let decision = Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::StageApproved)
        .doing(Activity::Staging)
        .silent();
    match (view.shadow.desired.state, decision.state) {
        (State::StagedAndPerformedUpdate, State::StagedAndPerformedUpdate | State::ErrorReset) => {
            decision.state(State::Idle)
        }
        _ => decision,
    }
}

fn fail(view: &View<'_>, why: String) -> Decision {
    Decision::failing(view, FailureKind::Stage, why)
}
