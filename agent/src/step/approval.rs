//! The approval: drain, activate, reboot, and recognising what came of it.

use std::time::Duration;

use api::ApprovalId;
use api::shadow::{Activity, FailureKind, Rebooting, State};
use semver::Version;

use super::action::{Action, Reason};
use super::command::{ask, occupied, overdue};
use super::decision::Decision;
use super::exclusion::exclude;
use super::image::{after_failure, failed, not_offered, obtain};
use super::refresh::{check, is_fresh};
use super::version_lock::{self, Consent};
use super::view::{LONGEST_WAIT, View, begun};
use crate::memory::{DrainDone, DrainLost};
use crate::updates::Command;

/// How long an activation is tried before the node is restored.
const ACTIVATE_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How old the answer may be that the node is cordoned and empty when the reboot is asked for.
const DRAIN_FRESH: Duration = Duration::from_secs(60);

/// What the approval to disrupt the node for `version` asks for.
pub(super) fn approval(view: &View<'_>, version: &Version) -> Decision {
    if view.running == version {
        return booted(view);
    }
    if failed(view, version) {
        return after_failure(view);
    }
    if let Some(other) = fell_back(view, version) {
        return other;
    }
    let waiting = Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::HostWorks);
    if view.runs(Command::Activate)
        && let Some(occupied) = occupied(view)
    {
        return match overdue(view) {
            Some(why) => Decision::failing(view, FailureKind::Activate, why),
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
        return Decision::failing(view, FailureKind::Drain, message.to_owned());
    }
    let Some(approval) = view.shadow.desired.approval() else {
        return Decision::staged(view).then((Action::Wait(LONGEST_WAIT), Reason::ApprovalAbsent));
    };
    match view.o.memory.on.drained.as_ref().filter(|drained| drained.approval == approval) {
        None => before(view, version, approval),
        Some(drained) if view.ready() => reboot(view, version, drained),
        Some(drained) => activate(view, version, drained),
    }
}

fn booted(view: &View<'_>) -> Decision {
    Decision::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::AwaitVerdict)
        .state(State::RebootedIntoUpdate)
        .doing(Activity::Verifying)
        .silent()
}

/// The reboot was ours and has happened, yet the node does not run what it was to run.
fn fell_back(view: &View<'_>, version: &Version) -> Option<Decision> {
    let intent = view.shadow.observed.as_ref()?.rebooting.as_ref()?;
    if intent.version != *version || intent.boot_id == view.o.boot_id {
        return None;
    }
    let message = format!("the node came up in {} rather than {version}", view.running);
    Some(Decision::failing(view, FailureKind::Fallback, message))
}

/// Everything that would stop the reboot is looked at before anything is disrupted. Once it has begun, the apiserver alone
/// knows whether it may go on.
fn before(view: &View<'_>, version: &Version, approval: ApprovalId) -> Decision {
    let memory = &view.o.memory;
    let valid = view.shadow.desired.approval_is_valid(view.o.now);
    let decision =
        if valid { Decision::staged(view) } else { Decision::staged(view).saying("the approval has expired") };
    if let Some(until) = memory.on.refused_until.filter(|until| view.o.clock < *until) {
        let decision = if valid { decision.saying("the apiserver sees no approval for this node") } else { decision };
        return decision.then((Action::Wait(until - view.o.clock), Reason::ApprovalRefused));
    }
    let activity = view.activity();
    if !begun(activity) && memory.on.progress.is_none() {
        if !is_fresh(view) {
            return decision.then(ask(view, Command::Refresh, Reason::RefreshDue));
        }
        if let Some(text) = withdrawn(view, version) {
            return decision.saying(text).then(check(view, Reason::NotOffered));
        }
        if let Some(why) = version_lock::given_up(view) {
            return Decision::failing(view, FailureKind::Stage, why);
        }
        if let Some(first) = version_lock::set(view, version, &decision) {
            return first;
        }
        if !valid {
            // Its disruption may have begun all the same, under an agent whose image was then lost to a power cycle. The
            // apiserver sees the record, and refuses if there are none.
            let activated = view.ready();
            return decision.then((Action::Drain { approval, activated }, Reason::ApprovalExpired));
        }
    }
    exclude(view, &approval).unwrap_or_else(|| draining(view, approval, Reason::Approved))
}

fn draining(view: &View<'_>, approval: ApprovalId, reason: Reason) -> Decision {
    let activated = view.ready();
    let decision =
        Decision::staged(view).doing(Activity::Draining).then((Action::Drain { approval, activated }, reason));
    match &view.o.memory.on.progress {
        Some(progress) => decision.saying(progress.clone()),
        None => decision,
    }
}

/// Why the staged version is not to be installed any longer: the host is not offered it. A newer one beside it does not
/// matter, as it is not what lies in the partition.
fn withdrawn(view: &View<'_>, version: &Version) -> Option<String> {
    let offered = view.o.memory.offered.as_ref()?;
    let is_offered = offered.chosen.as_ref() == Some(version) || offered.available.contains(version);
    (!is_offered).then(|| not_offered(version, offered.chosen.as_ref()))
}

fn activate(view: &View<'_>, version: &Version, drained: &DrainDone) -> Decision {
    let memory = &view.o.memory;
    let decision = Decision::staged(view).doing(Activity::Activating);
    if view.o.clock.saturating_sub(drained.since) >= ACTIVATE_PATIENCE {
        let last = memory.on.trouble.get(&Command::Activate).or_else(|| memory.on.trouble.get(&Command::Refresh));
        let why = last.map_or("the host did not come to it", |trouble| &trouble.text);
        let message =
            format!("{version} could not be activated in {} minutes: {why}", ACTIVATE_PATIENCE.as_secs() / 60);
        return Decision::failing(view, FailureKind::Activate, message);
    }
    if !is_fresh(view) {
        return decision.then(ask(view, Command::Refresh, Reason::RefreshDue));
    }
    if let Some(text) = withdrawn(view, version) {
        return Decision::failing(view, FailureKind::Activate, text);
    }
    match version_lock::consent(view, version) {
        Consent::Given => {}
        Consent::NotRead(action, reason) => return decision.then((action, reason)),
        Consent::Refused(text) => return Decision::failing(view, FailureKind::Activate, text),
    }
    let ask = ask(view, Command::Activate, Reason::ActivateApproved);
    if ask.0 == Action::Command(Command::Activate) && !memory.on.reread {
        return decision.then((Action::Reread, Reason::RereadDue));
    }
    decision.then(ask)
}

fn reboot(view: &View<'_>, version: &Version, drained: &DrainDone) -> Decision {
    let recent = view.o.clock.saturating_sub(drained.at) < DRAIN_FRESH;
    // The next boot must take it; a status that says Ready and not this is none that is understood.
    let status = view.status();
    let next = status.and_then(|status| status.staging_partition.as_ref()).is_some_and(|staging| staging.next_to_boot);
    if !next {
        return Decision::staged(view).doing(Activity::Activating).then(ask(
            view,
            Command::Deactivate,
            Reason::UnapprovedReady,
        ));
    }
    if !drained.activated || !recent {
        let activity = view.activity();
        let decision = draining(view, drained.approval.clone(), Reason::DrainAgain);
        return if activity == Some(Activity::Rebooting) {
            decision.doing(Activity::Rebooting)
        } else {
            decision.doing(Activity::Activating)
        };
    }
    let decision = Decision {
        rebooting: Some(Rebooting {
            version: version.clone(),
            from_version: view.running.clone(),
            boot_id: view.o.boot_id.clone(),
        }),
        ..Decision::staged(view).doing(Activity::Rebooting)
    };
    match &view.o.memory.reboot_trouble {
        Some(trouble) => {
            let early = trouble.retry_at.saturating_sub(view.o.clock);
            let action = if early.is_zero() { Action::Reboot } else { Action::Wait(early) };
            decision
                .saying(format!("the host refuses to reboot: {}", trouble.text))
                .then((action, Reason::RebootApproved))
        }
        None => decision.then((Action::Reboot, Reason::RebootApproved)),
    }
}
