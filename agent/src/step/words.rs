//! Steps and their reasons.

use std::fmt;
use std::time::Duration;

use api::ApprovalId;
use api::shadow::BottlerocketShadowStatus;
use semver::Version;

use crate::updates::Command;

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Create the shadow.
    Create,
    /// Store this status.
    Observed(Box<BottlerocketShadowStatus>),
    /// Ask the host for an action.
    Command(Command),
    /// Read the host's version-lock.
    ReadLock,
    /// Hold the host to one version, if its version-lock is still what it was.
    Pin {
        /// What it was a moment ago.
        from: String,
        /// What it was before the first pin.
        before: String,
        /// The approved version.
        to: Version,
    },
    /// Put the host's version-lock back, if it is still ours.
    Unpin {
        /// What it was a moment ago.
        from: String,
        /// What it was before the first pin.
        to: String,
    },
    /// Ask the apiserver to take the node out of the load balancers.
    Exclude(ApprovalId),
    /// Ask the apiserver to let load balancers use the node again.
    Include,
    /// Ask the apiserver to cordon and drain, for at most one long answer.
    Drain {
        /// Under this approval; a change of it ends the request.
        approval: ApprovalId,
        /// Whether the new image is activated by now.
        activated: bool,
    },
    /// Read the shadow through to Kubernetes.
    Reread,
    /// Ask the apiserver to give the node back.
    Uncordon,
    /// Ask the host to reboot.
    Reboot,
    /// Nothing, for at most this long; a change of the shadow ends it.
    Wait(Duration),
    /// End the process.
    GiveUp,
}

impl Act {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Observed(_) => "report",
            Self::Command(command) => command.as_str(),
            Self::ReadLock => "read-lock",
            Self::Pin { .. } => "pin",
            Self::Unpin { .. } => "unpin",
            Self::Exclude(_) => "exclude",
            Self::Include => "include",
            Self::Drain { .. } => "drain",
            Self::Reread => "reread",
            Self::Uncordon => "uncordon",
            Self::Reboot => "reboot",
            Self::Wait(_) => "wait",
            Self::GiveUp => "give-up",
        }
    }

    pub(super) const fn needs_apiserver(&self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Observed(_)
                | Self::Exclude(_)
                | Self::Include
                | Self::Drain { .. }
                | Self::Reread
                | Self::Uncordon
        )
    }
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The apiserver has not answered yet.
    ShadowUnknown,
    /// There is no shadow.
    ShadowMissing,
    /// The shadow cannot be read.
    ShadowUnreadable,
    /// The apiserver failed; it is asked again a little later.
    ApiserverTrouble,
    /// The host gives no answer.
    HostAway,
    /// Nobody has been on the host's socket for too long.
    SocketGone,
    /// The host runs our command.
    HostWorks,
    /// The host runs somebody else's command, or cannot say.
    HostBusy,
    /// A command failed; it is asked for again a little later.
    CommandTrouble,
    /// The host's image has no in-place updates.
    Unsupported,
    /// Nothing is to be done.
    NothingToDo,
    /// It is time to look what the host is offered.
    CheckDue,
    /// The order names no version.
    NoVersion,
    /// The host is not offered the approved version.
    NotOffered,
    /// The last refresh is too old to rely on.
    RefreshDue,
    /// The host's version-lock is to be read.
    LockDue,
    /// The host is to be held to the approved version.
    PinDue,
    /// The host is held to the approved version and does not show it yet.
    PinUnseen,
    /// Somebody else holds the host to another version.
    PinnedByOthers,
    /// The version-lock is to be put back.
    UnpinDue,
    /// The approved version is to be staged.
    StageApproved,
    /// An image that is not approved, or not yet, would be booted.
    UnapprovedReady,
    /// Staged; waiting for the approval.
    AwaitGo,
    /// The approval has no expiry: it is none of ours.
    GoAbsent,
    /// The approval has expired.
    GoExpired,
    /// The apiserver sees no approval.
    GoRefused,
    /// There is an approval.
    Go,
    /// Out of the load balancers; waiting before the drain.
    AwaitExclusion,
    /// Drained; the approval is looked at once more.
    GoReread,
    /// Drained and the approval still holds.
    ActivateApproved,
    /// Activated; the node must still be empty.
    DrainAgain,
    /// Everything is in place.
    RebootApproved,
    /// The machine was asked to go down.
    AwaitReboot,
    /// The new version runs; the controller judges its health.
    AwaitVerdict,
    /// The node is to be given back.
    GiveBack,
    /// The apiserver does not see yet that it is.
    GiveBackUnseen,
    /// Given back; waiting for the controller.
    AwaitIdle,
    /// Something failed.
    Failed,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What.
    pub act: Act,
    /// Why.
    pub why: Why,
}

impl Step {
    pub(super) const fn new(act: Act, why: Why) -> Self {
        Self { act, why }
    }
}
