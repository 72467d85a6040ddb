//! Steps and their reasons.

use std::fmt;
use std::time::Duration;

use api::ApprovalId;
use api::shadow::BottlerocketShadowStatus;
use semver::Version;

use crate::updates::Command;

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create the shadow.
    Create,
    /// Store this status.
    Report(Box<BottlerocketShadowStatus>),
    /// Ask the host for an action.
    Command(Command),
    /// Read the host's version-lock.
    ReadLock,
    /// Hold the host to one version, if its version-lock is still what it was.
    SetLock {
        /// What it was a moment ago.
        from: String,
        /// What it was before the agent first set it.
        before: String,
        /// The approved version.
        to: Version,
    },
    /// Restore the host's version-lock, if it is still ours.
    RestoreLock {
        /// What it was a moment ago.
        from: String,
        /// What it was before the agent first set it.
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
    /// Ask the apiserver to restore the node.
    Uncordon,
    /// Ask the host to reboot.
    Reboot,
    /// Nothing, for at most this long; a change of the shadow ends it.
    Wait(Duration),
    /// End the process.
    Exit,
}

impl Action {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Report(_) => "report",
            Self::Command(command) => command.as_str(),
            Self::ReadLock => "read-lock",
            Self::SetLock { .. } => "pin",
            Self::RestoreLock { .. } => "unpin",
            Self::Exclude(_) => "exclude",
            Self::Include => "include",
            Self::Drain { .. } => "drain",
            Self::Reread => "reread",
            Self::Uncordon => "uncordon",
            Self::Reboot => "reboot",
            Self::Wait(_) => "wait",
            Self::Exit => "give-up",
        }
    }

    pub(super) const fn needs_apiserver(&self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Report(_)
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
pub enum Reason {
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
    /// The shadow names no version.
    NoVersion,
    /// The host is not offered the approved version.
    NotOffered,
    /// The last refresh is too old to rely on.
    RefreshDue,
    /// The host's version-lock is to be read.
    LockDue,
    /// The host is to be held to the approved version.
    SetLockDue,
    /// The host is held to the approved version and does not show it yet.
    LockUnseen,
    /// Somebody else holds the host to another version.
    LockedByOthers,
    /// The version-lock is to be restored.
    RestoreLockDue,
    /// The approved version is to be staged.
    StageApproved,
    /// An image that is not approved, or not yet, would be booted.
    UnapprovedReady,
    /// Staged; waiting for the approval.
    AwaitApproval,
    /// The approval has no expiry: it is none of ours.
    ApprovalAbsent,
    /// The approval has expired.
    ApprovalExpired,
    /// The apiserver sees no approval.
    ApprovalRefused,
    /// There is an approval.
    Approved,
    /// Out of the load balancers; waiting before the drain.
    AwaitExclusion,
    /// Drained; the approval is looked at once more.
    RereadDue,
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
    /// The node is to be restored.
    Restore,
    /// The apiserver does not see yet that it is.
    RestoreUnseen,
    /// Restored; waiting for the controller.
    AwaitIdle,
    /// Something failed.
    Failed,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

impl Step {
    pub(super) const fn new(action: Action, reason: Reason) -> Self {
        Self { action, reason }
    }
}
