//! Why a node is not moving.

use std::fmt;

/// The one reason why a node that is not up to date does not move. A closed set: it is a condition reason on the shadow, a
/// key in the policy's status, a metric label and a log field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldReason {
    /// The Node or its shadow cannot be read; the message names what.
    Unreadable,
    /// No policy selects the node.
    NoPolicy,
    /// Several policies of the same, highest priority select the node.
    Conflict,
    /// The policy is not accepted; its own condition says why.
    PolicyNotAccepted,
    /// The policy is paused.
    Paused,
    /// Too many of the policy's nodes have failed on this version.
    Halted,
    /// The policy's schedule is closed: the image may be staged, and the disruption waits.
    OutsideWindow,
    /// The policy's schedule is closed, and the node's agent is one of the original operator, which activates while it stages.
    OriginalOutsideWindow,
    /// The policy's schedule is closed and does not open again: somebody has to edit it.
    NeverOpens,
    /// The version is too young, or not promoted yet.
    VersionHeld,
    /// The version cannot be promoted before somebody helps: policies wait for each other or for one that does not exist, or the
    /// version has failed on a node that goes first.
    PromotionBlocked,
    /// The agent has not reported yet.
    NoStatus,
    /// The agent is not heard from.
    AgentSilent,
    /// The node carries the hold annotation.
    HeldByAnnotation,
    /// The Node is being deleted, or a taint announces that it goes away.
    BeingRemoved,
    /// The Node is not Ready.
    NotReady,
    /// Somebody else has cordoned the Node.
    Cordoned,
    /// An administrator's version-lock keeps the host at the version it runs.
    VersionLocked,
    /// The update has failed: the node was not heard from again or is not healthy.
    Failed,
    /// The node runs the new version and waits for its health gate.
    Unhealthy,
    /// This version failed on this node before.
    VersionFailed,
    /// A failure is waited out before the next try.
    BackOff,
    /// As many nodes are in flight as the policy allows.
    BudgetFull,
    /// As many of the policy's nodes are unavailable as it allows.
    TooManyUnavailable,
    /// Nodes with another value of the policy's topology label are in flight.
    TopologyBusy,
}

impl HoldReason {
    /// Every reason, for metrics that show zeros.
    pub const ALL: [Self; 25] = [
        Self::Unreadable,
        Self::NoPolicy,
        Self::Conflict,
        Self::PolicyNotAccepted,
        Self::Paused,
        Self::Halted,
        Self::OutsideWindow,
        Self::OriginalOutsideWindow,
        Self::NeverOpens,
        Self::VersionHeld,
        Self::PromotionBlocked,
        Self::NoStatus,
        Self::AgentSilent,
        Self::HeldByAnnotation,
        Self::BeingRemoved,
        Self::NotReady,
        Self::Cordoned,
        Self::VersionLocked,
        Self::Failed,
        Self::Unhealthy,
        Self::VersionFailed,
        Self::BackOff,
        Self::BudgetFull,
        Self::TooManyUnavailable,
        Self::TopologyBusy,
    ];

    /// The word shown to people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "Unreadable",
            Self::NoPolicy => "NoPolicy",
            Self::Conflict => "Conflict",
            Self::PolicyNotAccepted => "PolicyNotAccepted",
            Self::Paused => "Paused",
            Self::Halted => "Halted",
            Self::OutsideWindow => "OutsideWindow",
            Self::OriginalOutsideWindow => "OriginalOutsideWindow",
            Self::NeverOpens => "NeverOpens",
            Self::VersionHeld => "VersionHeld",
            Self::PromotionBlocked => "PromotionBlocked",
            Self::NoStatus => "NoStatus",
            Self::AgentSilent => "AgentSilent",
            Self::HeldByAnnotation => "HeldByAnnotation",
            Self::BeingRemoved => "BeingRemoved",
            Self::NotReady => "NotReady",
            Self::Cordoned => "Cordoned",
            Self::VersionLocked => "VersionLocked",
            Self::Failed => "Failed",
            Self::Unhealthy => "Unhealthy",
            Self::VersionFailed => "VersionFailed",
            Self::BackOff => "BackOff",
            Self::BudgetFull => "BudgetFull",
            Self::TooManyUnavailable => "TooManyUnavailable",
            Self::TopologyBusy => "TopologyBusy",
        }
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
