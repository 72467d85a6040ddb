//! `BottlerocketShadow`: what one node is asked to do (spec, written by the controller) and what its agent reports (status,
//! written by the apiserver for the agent; `conditions` and `failed` by the controller).
//!
//! The field names are those of the original v2, in snake_case; everything new is optional, so that an original agent and
//! an original shadow still fit. Versions and times are text here, as they are stored; [`Shadow`] is the parsed form.

mod check;
mod decode;
mod encode;
mod pin;
mod status;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use check::{InvalidReport, MAX_MESSAGE, MAX_VERSION, check};
pub use decode::{Desired, Failed, Failure, NodeRef, Observed, Rebooting, Shadow, UnreadableShadow};
pub use pin::Pin;
pub use status::{
    Activity, AgentFailure, BottlerocketShadowStatus, FailureKind, FailureVerdict, MAX_AVAILABLE_VERSIONS,
    RebootIntent, Verdict,
};

/// The version syntax of the original's schema (semver.org's own expression). It lets numbers through that do not fit 64
/// bits; such a shadow is reported as unreadable.
pub(crate) const SEMVER_PATTERN: &str = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$";

/// The states of a node's update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// Nothing is under way.
    #[default]
    Idle,
    /// Asked for: download the image of `version` and stage it. Reported: it is staged.
    StagedAndPerformedUpdate,
    /// Asked for: the approval. Exclude, drain, activate and reboot. Reported: the node runs the new version, still cordoned.
    RebootedIntoUpdate,
    /// Asked for: restore the node. Reported: it is restored.
    MonitoringUpdate,
    /// Reported only: something failed.
    ErrorReset,
}

impl State {
    /// Every state, for metrics that show zeros.
    pub const ALL: [Self; 5] = [
        Self::Idle,
        Self::StagedAndPerformedUpdate,
        Self::RebootedIntoUpdate,
        Self::MonitoringUpdate,
        Self::ErrorReset,
    ];

    /// The word as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::StagedAndPerformedUpdate => "StagedAndPerformedUpdate",
            Self::RebootedIntoUpdate => "RebootedIntoUpdate",
            Self::MonitoringUpdate => "MonitoringUpdate",
            Self::ErrorReset => "ErrorReset",
        }
    }
}

/// What to do when a drain has not ended in time: `Abort` restores the node and tries again later, with back-off; `Force`
/// deletes the pods that are left, with their own grace, past their budgets. Example: `Force`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// Restore the node and try again later, with back-off.
    #[default]
    Abort,
    /// Delete the pods that are left, with their own grace, past their budgets.
    Force,
}

/// How the node is drained, copied from its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowDrain {
    /// Seconds from the beginning of the drain until it has failed.
    #[schemars(range(min = 1, max = 604_800))]
    pub timeout_seconds: i64,
    /// What then.
    pub on_timeout: OnTimeout,
}

/// What the controller asks of one node. Only the controller writes it.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "brupop.bottlerocket.aws",
    version = "v2",
    kind = "BottlerocketShadow",
    plural = "bottlerocketshadows",
    singular = "bottlerocketshadow",
    shortname = "brs",
    namespaced,
    status = "BottlerocketShadowStatus",
    derive = "PartialEq",
    doc = "The update of one Bottlerocket node: what the controller asks for, and how far the node is. Created and kept by the operator; nothing here is for people to edit.",
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.current_state","description":"How far the node is"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".status.current_version","description":"The version the node runs"}"#,
    printcolumn = r#"{"name":"Target State","type":"string","jsonPath":".spec.state","description":"What the node is asked to do"}"#,
    printcolumn = r#"{"name":"Target Version","type":"string","jsonPath":".spec.version","description":"The version the node is updated to"}"#,
    printcolumn = r#"{"name":"Crash Count","type":"integer","jsonPath":".status.crash_count","description":"Failures in a row"}"#,
    printcolumn = r#"{"name":"Policy","type":"string","jsonPath":".spec.policy","description":"The policy the node is updated under"}"#,
    printcolumn = r#"{"name":"Activity","type":"string","jsonPath":".status.activity","description":"What the agent does now"}"#,
    printcolumn = r#"{"name":"Held","type":"string","jsonPath":".status.conditions[?(@.type==\"Held\")].reason","description":"Why the node does not move"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.message","description":"What the agent says","priority":1}"#
)]
pub struct BottlerocketShadowSpec {
    /// What the node is asked to do.
    pub state: State,
    /// When this state was asked for, RFC 3339. With the version it names the approval; renewing an approval leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub state_transition_timestamp: Option<String>,
    /// The version the node is updated to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = SEMVER_PATTERN), length(max = 128))]
    pub version: Option<String>,
    /// The UpdatePolicy the node is updated under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub policy: Option<String>,
    /// With state RebootedIntoUpdate: the approval expires at this time (RFC 3339) unless the disruption has begun by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub disrupt_not_after: Option<String>,
    /// Seconds between the load-balancer exclusion and the drain; absent or 0: no exclusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub exclude_from_lb_wait_time_in_sec: Option<i64>,
    /// How the node is drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<ShadowDrain>,
}
