//! What the node is doing, before it is known whether the shadow says so.

use api::shadow::{Activity, FailureKind, Rebooting, State};

use jiff::Timestamp;

use super::action::{Action, Reason};
use super::lock_record;
use super::view::{LONGEST_WAIT, View};

/// A failure to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewFailure {
    /// What went wrong.
    pub(super) kind: FailureKind,
}

/// What the node is doing and what that asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    /// How far the node is.
    pub(super) state: State,
    /// What the agent does.
    pub(super) activity: Activity,
    /// One line about it.
    pub(super) message: Option<String>,
    /// When the drain may begin, while the node is out of the load balancers before it.
    pub(super) drain_not_before: Option<Timestamp>,
    /// The reboot that is or was asked for.
    pub(super) rebooting: Option<Rebooting>,
    /// The host's version-lock before the agent set it, as long as it is the agent's.
    pub(super) lock_before: Option<String>,
    /// What went wrong just now.
    pub(super) failing: Option<NewFailure>,
    /// Whether the shadow must say all this before `action`.
    pub(super) reported: bool,
    /// What is to be done.
    pub(super) action: Action,
    /// Why.
    pub(super) reason: Reason,
}

impl Decision {
    /// Everything as it was reported last.
    pub(super) fn as_reported(view: &View<'_>, action: Action, reason: Reason) -> Self {
        let report = view.shadow.observed.as_ref();
        // The intent speaks of an approval; it ends with it.
        let desired = &view.shadow.desired;
        let intent = report.and_then(|report| report.rebooting.clone()).filter(|intent| {
            matches!(desired.state, State::RebootedIntoUpdate | State::MonitoringUpdate)
                && desired.version.as_ref().is_none_or(|version| *version == intent.version)
        });
        Self {
            state: report.map_or(State::Idle, |report| report.state),
            activity: report.and_then(|report| report.activity).unwrap_or(Activity::Idle),
            message: report
                .filter(|report| report.host_unreachable_since.is_none())
                .and_then(|report| report.message.clone()),
            drain_not_before: report.and_then(|report| report.drain_not_before),
            rebooting: intent,
            lock_before: lock_record::record(view),
            failing: None,
            reported: true,
            action,
            reason,
        }
    }

    /// Staged, with no disruption under way.
    pub(super) fn staged(view: &View<'_>) -> Self {
        Self::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::AwaitApproval)
            .state(State::StagedAndPerformedUpdate)
            .doing(Activity::Staged)
            .silent()
    }

    /// A failure in the present desired state. The controller answers it by asking for the restore.
    pub(super) fn failing(view: &View<'_>, kind: FailureKind, message: String) -> Self {
        Self {
            state: State::ErrorReset,
            activity: Activity::GivingBack,
            message: Some(message),
            drain_not_before: None,
            rebooting: None,
            failing: Some(NewFailure { kind }),
            ..Self::as_reported(view, Action::Wait(LONGEST_WAIT), Reason::Failed)
        }
    }

    pub(super) fn state(self, state: State) -> Self {
        Self { state, ..self }
    }

    pub(super) fn doing(self, activity: Activity) -> Self {
        let excluding = activity == Activity::ExcludingFromLoadBalancer;
        Self { activity, drain_not_before: self.drain_not_before.filter(|_| excluding), ..self }
    }

    pub(super) fn saying(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    pub(super) fn silent(self) -> Self {
        Self { message: None, ..self }
    }

    pub(super) fn then(self, (action, reason): (Action, Reason)) -> Self {
        Self { action, reason, ..self }
    }
}
