//! What the node is doing, before it is known whether the shadow says so.

use api::shadow::{Activity, FailureKind, Rebooting, State};

use super::{Act, LONGEST_WAIT, View, Why, away, pin};

/// A failure to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// What went wrong.
    pub kind: FailureKind,
}

/// What the node is doing and what that asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// How far the node is.
    pub state: State,
    /// What the agent does.
    pub activity: Activity,
    /// One line about it.
    pub message: Option<String>,
    /// The reboot that is or was asked for.
    pub rebooting: Option<Rebooting>,
    /// The host's version-lock before it was pinned, as long as it is.
    pub lock_before: Option<String>,
    /// What went wrong just now.
    pub failing: Option<Failing>,
    /// Whether the shadow must say all this before `act`.
    pub reported: bool,
    /// What is to be done.
    pub act: Act,
    /// Why.
    pub why: Why,
}

impl Draft {
    /// Everything as it was reported last.
    pub(super) fn as_reported(view: &View<'_>, act: Act, why: Why) -> Self {
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
            message: report.and_then(|report| report.message.clone()).filter(|text| !text.starts_with(away::WORDS)),
            rebooting: intent,
            lock_before: pin::record(view),
            failing: None,
            reported: true,
            act,
            why,
        }
    }

    /// A failure under the present order. The controller answers it with the order to give back.
    pub(super) fn failing(view: &View<'_>, kind: FailureKind, message: String) -> Self {
        Self {
            state: State::ErrorReset,
            activity: Activity::GivingBack,
            message: Some(message),
            rebooting: None,
            failing: Some(Failing { kind }),
            ..Self::as_reported(view, Act::Wait(LONGEST_WAIT), Why::Failed)
        }
    }

    pub(super) fn state(self, state: State) -> Self {
        Self { state, ..self }
    }

    pub(super) fn doing(self, activity: Activity) -> Self {
        Self { activity, ..self }
    }

    pub(super) fn saying(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    pub(super) fn silent(self) -> Self {
        Self { message: None, ..self }
    }

    pub(super) fn then(self, (act, why): (Act, Why)) -> Self {
        Self { act, why, ..self }
    }
}
