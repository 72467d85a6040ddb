//! Getting the approved image into the staging partition, and knowing that it is in there.

use std::time::Duration;

use api::shadow::{Activity, FailureKind, State};
use semver::Version;

use super::command::{ask, given_up, occupied, overdue};
use super::rest::{check, unsupported};
use super::{Act, Draft, LONGEST_WAIT, View, Why, pin};
use crate::updates::{Command, UpdateState, UpdateStatus, Updates};

/// How old a refresh may be that is relied on.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// The order to stage `version`.
pub(super) fn stage(view: &View<'_>, version: &Version) -> Draft {
    if view.running != version && failed(view, version) {
        return after_failure(view);
    }
    let draft = Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::AwaitGo)
        .state(State::StagedAndPerformedUpdate)
        .doing(Activity::Staged)
        .silent();
    if view.running == version {
        let draft = draft.saying(format!("{version} runs already"));
        return if view.ready() { draft.then(ask(view, Command::Deactivate, Why::UnapprovedReady)) } else { draft };
    }
    match obtain(view, version, false) {
        Some(obtaining) => obtaining,
        None => draft.then(check(view, Why::AwaitGo)),
    }
}

/// Whether the present order has failed, and the controller has not answered yet.
pub(super) fn failed(view: &View<'_>, version: &Version) -> bool {
    let Some(report) = &view.shadow.observed else { return false };
    let same = report.failure.as_ref().is_none_or(|failure| failure.version == *version);
    report.state == State::ErrorReset && same
}

/// Waits for the controller, with nothing left behind that a restart of the machine would boot.
pub(super) fn after_failure(view: &View<'_>) -> Draft {
    let draft = Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::Failed);
    if view.ready() || view.in_flight(Command::Deactivate) {
        return draft.then(ask(view, Command::Deactivate, Why::UnapprovedReady));
    }
    draft
}

/// What it takes until the image of `version` is staged; `None` when it is. `activated` says whether it may be the one to
/// boot.
pub(super) fn obtain(view: &View<'_>, version: &Version, activated: bool) -> Option<Draft> {
    let status = view.status();
    if let Some(status) = status {
        let ready = status.update_state == UpdateState::Ready;
        let staged = status.update_state == UpdateState::Staged || (ready && activated);
        if staged && accepted(view, status, version) {
            return None;
        }
    }
    let draft = staging(view);
    if unsupported(view) {
        return Some(fail(view, "this image has no in-place updates".to_owned()));
    }
    if let Some(why) = overdue(view).or_else(|| given_up(view, Command::Refresh)) {
        return Some(fail(view, why));
    }
    if let Some(waiting) = occupied(view) {
        return Some(if matches!(view.updates, Updates::Busy) && view.o.memory.command.is_none() {
            foreign(view, &draft).then(waiting)
        } else {
            draft.then(waiting)
        });
    }
    if view.ready() {
        // Also when this fails again and again: an image that is not approved must not be booted.
        return Some(draft.then(ask(view, Command::Deactivate, Why::UnapprovedReady)));
    }
    Some(prepare(view, version, draft))
}

/// A command of somebody else says nothing about ours: what was reported stays, unless nothing was.
fn foreign(view: &View<'_>, staging: &Draft) -> Draft {
    if view.reported().is_none() {
        return staging.clone();
    }
    Draft::as_reported(view, staging.act.clone(), staging.why)
}

fn prepare(view: &View<'_>, version: &Version, draft: Draft) -> Draft {
    if let Some(why) = given_up(view, Command::Prepare).or_else(|| pin::given_up(view)) {
        return fail(view, why);
    }
    if let Some(first) = pin::pin(view, version, &draft) {
        return first;
    }
    let offered = view.o.memory.offered.as_ref();
    let (Some(status), Some(offered), true) = (view.status(), offered, is_fresh(view)) else {
        return draft.then(ask(view, Command::Refresh, Why::RefreshDue));
    };
    if offered.chosen.as_ref() != Some(version) {
        if pin::is_unseen(view, version) {
            return draft.then(ask(view, Command::Refresh, Why::PinUnseen));
        }
        return draft.saying(not_offered(version, offered.chosen.as_ref())).then(check(view, Why::NotOffered));
    }
    if status.running_is_unmarked() {
        let why = "the running image is not marked as good; staging another would destroy the only good one";
        return fail(view, why.to_owned());
    }
    match status.update_state {
        UpdateState::Available | UpdateState::Staged => draft.then(ask(view, Command::Prepare, Why::StageApproved)),
        UpdateState::Idle | UpdateState::Ready => draft.then(check(view, Why::NotOffered)),
    }
}

/// The text for a host that would install something else.
pub(super) fn not_offered(version: &Version, chosen: Option<&Version>) -> String {
    match chosen {
        Some(other) => format!("the host would take {other} rather than {version}"),
        None => format!("the host is not offered {version}"),
    }
}

/// Whether a refresh has succeeded lately.
pub(super) fn is_fresh(view: &View<'_>) -> bool {
    let age = view.o.memory.refreshed_at.map(|at| view.o.clock.saturating_sub(at));
    age.is_some_and(|age| age < FRESH)
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
    let activity = view.shadow.observed.as_ref().and_then(|report| report.activity);
    matches!(activity, Some(Activity::Staged)) || begun(activity)
}

/// Whether the disruption has begun, as far as was reported.
pub(super) const fn begun(activity: Option<Activity>) -> bool {
    matches!(
        activity,
        Some(Activity::ExcludingFromLoadBalancer | Activity::Draining | Activity::Activating | Activity::Rebooting)
    )
}

/// Staging. A node whose image got lost is not staged any longer; under an approval its state stays, as the approval does.
fn staging(view: &View<'_>) -> Draft {
    let draft = Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::StageApproved).doing(Activity::Staging).silent();
    match (view.shadow.desired.state, draft.state) {
        (State::StagedAndPerformedUpdate, State::StagedAndPerformedUpdate | State::ErrorReset) => {
            draft.state(State::Idle)
        }
        _ => draft,
    }
}

fn fail(view: &View<'_>, why: String) -> Draft {
    Draft::failing(view, FailureKind::Stage, why)
}
