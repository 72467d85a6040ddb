//! The approval: drain, activate, reboot, and recognising what came of it.

use std::time::Duration;

use api::ApprovalId;
use api::shadow::{Activity, FailureKind, Rebooting, State};
use semver::Version;

use super::command::{ask, occupied, overdue};
use super::exclusion::exclude;
use super::image::{after_failure, begun, failed, is_fresh, not_offered, obtain};
use super::pin::{self, Consent};
use super::rest::check;
use super::{Act, Draft, LONGEST_WAIT, View, Why};
use crate::memory::{DrainDone, DrainLost};
use crate::updates::Command;

/// How long an activation is tried before the node is given back.
const ACTIVATE_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How old the answer may be that the node is cordoned and empty when the reboot is asked for.
const DRAIN_FRESH: Duration = Duration::from_secs(60);

/// The order to disrupt the node for `version`.
pub(super) fn approval(view: &View<'_>, version: &Version) -> Draft {
    if view.running == version {
        return booted(view);
    }
    if failed(view, version) {
        return after_failure(view);
    }
    if let Some(other) = fell_back(view, version) {
        return other;
    }
    let waiting = Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::HostWorks);
    if view.in_flight(Command::Activate)
        && let Some(occupied) = occupied(view)
    {
        return match overdue(view) {
            Some(why) => Draft::failing(view, FailureKind::Activate, why),
            None => waiting.doing(Activity::Activating).then(occupied),
        };
    }
    if let Some(obtaining) = obtain(view, version, true) {
        return obtaining;
    }
    if let Some(occupied) = occupied(view) {
        return waiting.then(occupied);
    }
    if let Some(lost) = view.o.memory.on.drain_lost {
        let message = match lost {
            DrainLost::Vetoed => "the node was uncordoned by somebody during the drain",
            DrainLost::TimedOut => "the drain did not end in time",
        };
        return Draft::failing(view, FailureKind::Drain, message.to_owned());
    }
    let Some(approval) = view.shadow.desired.approval() else {
        return staged(view).then((Act::Wait(LONGEST_WAIT), Why::GoAbsent));
    };
    match view.o.memory.on.drained.as_ref().filter(|drained| drained.approval == approval) {
        None => before(view, version, approval),
        Some(drained) if view.ready() => reboot(view, version, drained),
        Some(drained) => activate(view, version, drained),
    }
}

/// Staged, and not under way.
pub(super) fn staged(view: &View<'_>) -> Draft {
    Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::AwaitGo)
        .state(State::StagedAndPerformedUpdate)
        .doing(Activity::Staged)
        .silent()
}

fn booted(view: &View<'_>) -> Draft {
    Draft::as_reported(view, Act::Wait(LONGEST_WAIT), Why::AwaitVerdict)
        .state(State::RebootedIntoUpdate)
        .doing(Activity::Verifying)
        .silent()
}

/// The reboot was ours and has happened, yet the node does not run what it was to run.
fn fell_back(view: &View<'_>, version: &Version) -> Option<Draft> {
    let intent = view.shadow.observed.as_ref()?.rebooting.as_ref()?;
    if intent.version != *version || intent.boot_id == view.o.boot_id {
        return None;
    }
    let message = format!("the node came up in {} rather than {version}", view.running);
    Some(Draft::failing(view, FailureKind::Fallback, message))
}

/// Everything that would stop the reboot is looked at before anything is disrupted. Once it has begun, the apiserver alone
/// knows whether it may go on.
fn before(view: &View<'_>, version: &Version, approval: ApprovalId) -> Draft {
    let memory = &view.o.memory;
    let valid = view.shadow.desired.approval_is_valid(view.o.now);
    let draft = if valid { staged(view) } else { staged(view).saying("the approval has expired") };
    if let Some(until) = memory.on.refused_until.filter(|until| view.o.clock < *until) {
        let draft = if valid { draft.saying("the apiserver sees no approval for this node") } else { draft };
        return draft.then((Act::Wait(until - view.o.clock), Why::GoRefused));
    }
    let activity = view.shadow.observed.as_ref().and_then(|report| report.activity);
    if !begun(activity) && memory.on.progress.is_none() {
        if !is_fresh(view) {
            return draft.then(ask(view, Command::Refresh, Why::RefreshDue));
        }
        if let Some(text) = withdrawn(view, version) {
            return draft.saying(text).then(check(view, Why::NotOffered));
        }
        if let Some(why) = pin::given_up(view) {
            return Draft::failing(view, FailureKind::Stage, why);
        }
        if let Some(first) = pin::pin(view, version, &draft) {
            return first;
        }
        if !valid {
            // Its disruption may have begun all the same, under an agent whose image was then lost to a power cycle. The
            // apiserver sees the marks, and refuses if there are none.
            let activated = view.ready();
            return draft.then((Act::Drain { approval, activated }, Why::GoExpired));
        }
    }
    exclude(view, &approval).unwrap_or_else(|| draining(view, approval, Why::Go))
}

fn draining(view: &View<'_>, approval: ApprovalId, why: Why) -> Draft {
    let activated = view.ready();
    let draft = staged(view).doing(Activity::Draining).then((Act::Drain { approval, activated }, why));
    match &view.o.memory.on.progress {
        Some(progress) => draft.saying(progress.clone()),
        None => draft,
    }
}

/// Why the staged version is not to be installed any longer: the host is not offered it. A newer one beside it does not
/// matter, as it is not what lies in the partition.
fn withdrawn(view: &View<'_>, version: &Version) -> Option<String> {
    let offered = view.o.memory.offered.as_ref()?;
    let is_offered = offered.chosen.as_ref() == Some(version) || offered.available.contains(version);
    (!is_offered).then(|| not_offered(version, offered.chosen.as_ref()))
}

fn activate(view: &View<'_>, version: &Version, drained: &DrainDone) -> Draft {
    let memory = &view.o.memory;
    let draft = staged(view).doing(Activity::Activating);
    if view.o.clock.saturating_sub(drained.since) >= ACTIVATE_PATIENCE {
        let last = memory.on.trouble.get(&Command::Activate).or_else(|| memory.on.trouble.get(&Command::Refresh));
        let why = last.map_or("the host did not come to it", |trouble| &trouble.text);
        let message =
            format!("{version} could not be activated in {} minutes: {why}", ACTIVATE_PATIENCE.as_secs() / 60);
        return Draft::failing(view, FailureKind::Activate, message);
    }
    if !is_fresh(view) {
        return draft.then(ask(view, Command::Refresh, Why::RefreshDue));
    }
    if let Some(text) = withdrawn(view, version) {
        return Draft::failing(view, FailureKind::Activate, text);
    }
    match pin::consent(view, version) {
        Consent::Given => {}
        Consent::Unread(act, why) => return draft.then((act, why)),
        Consent::Refused(text) => return Draft::failing(view, FailureKind::Activate, text),
    }
    let ask = ask(view, Command::Activate, Why::ActivateApproved);
    if ask.0 == Act::Command(Command::Activate) && !memory.on.reread {
        return draft.then((Act::Reread, Why::GoReread));
    }
    draft.then(ask)
}

fn reboot(view: &View<'_>, version: &Version, drained: &DrainDone) -> Draft {
    let recent = view.o.clock.saturating_sub(drained.at) < DRAIN_FRESH;
    // The next boot must take it; a status that says Ready and not this is none that is understood.
    let status = view.status();
    let next = status.and_then(|status| status.staging_partition.as_ref()).is_some_and(|staging| staging.next_to_boot);
    if !next {
        return staged(view).doing(Activity::Activating).then(ask(view, Command::Deactivate, Why::UnapprovedReady));
    }
    if !drained.activated || !recent {
        let activity = view.shadow.observed.as_ref().and_then(|report| report.activity);
        let draft = draining(view, drained.approval.clone(), Why::DrainAgain);
        return if activity == Some(Activity::Rebooting) {
            draft.doing(Activity::Rebooting)
        } else {
            draft.doing(Activity::Activating)
        };
    }
    let draft = Draft {
        rebooting: Some(Rebooting {
            version: version.clone(),
            from_version: view.running.clone(),
            boot_id: view.o.boot_id.clone(),
        }),
        ..staged(view).doing(Activity::Rebooting)
    };
    match &view.o.memory.reboot_trouble {
        Some(trouble) => {
            let early = trouble.retry_at.saturating_sub(view.o.clock);
            let act = if early.is_zero() { Act::Reboot } else { Act::Wait(early) };
            draft.saying(format!("the host refuses to reboot: {}", trouble.text)).then((act, Why::RebootApproved))
        }
        None => draft.then((Act::Reboot, Why::RebootApproved)),
    }
}
