//! The status of a shadow: the agent's report, and what the controller adds to it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SEMVER_PATTERN, State};
use crate::text;

/// Most versions a status lists.
pub const MAX_AVAILABLE_VERSIONS: usize = 32;

/// What the agent is doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Activity {
    /// Asking the host what it is offered.
    Checking,
    /// Downloading and writing the image.
    Staging,
    /// The image is staged and waits for the approval.
    Staged,
    /// Out of the load balancers; waiting before the drain.
    ExcludingFromLoadBalancer,
    /// Cordoned; pods are being evicted.
    Draining,
    /// Making the new image the one to boot.
    Activating,
    /// The reboot is asked for.
    Rebooting,
    /// Up in the new version, waiting for the health gate.
    Verifying,
    /// Undoing what was done to the Node.
    GivingBack,
    /// Nothing.
    Idle,
}

/// What went wrong, as the agent saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FailureKind {
    /// The image could not be staged.
    Stage,
    /// The staged image could not be made the one to boot.
    Activate,
    /// The drain did not end, or somebody uncordoned the node during it.
    Drain,
    /// The node came back in the version it had before.
    Fallback,
}

/// The last failure the agent met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentFailure {
    /// What went wrong.
    pub kind: FailureKind,
    /// The version it went wrong with.
    #[schemars(regex(pattern = SEMVER_PATTERN), length(max = 128))]
    pub version: String,
    /// When, RFC 3339.
    #[schemars(length(max = 64))]
    pub time: String,
    /// How often in a row this kind has happened with this version; absent is once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub attempts: Option<i64>,
}

/// Stored before the reboot is asked for: what tells a boot into the new version from one that fell back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebootIntent {
    /// The version the node is to boot.
    #[schemars(regex(pattern = SEMVER_PATTERN), length(max = 128))]
    pub version: String,
    /// The version it ran.
    #[schemars(regex(pattern = SEMVER_PATTERN), length(max = 128))]
    pub from_version: String,
    /// The boot id (a uuid) it ran under.
    #[schemars(regex(pattern = *text::PATTERN), length(max = 64))]
    pub boot_id: String,
}

/// The controller's verdict on an update that did not become healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// The node was not heard from again.
    NoBoot,
    /// The node came back in the version it had before.
    Fallback,
    /// The node did not pass the health gate in time.
    Health,
    /// An original agent reported an error after the approval.
    Unknown,
}

/// The controller's verdict, with what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureVerdict {
    /// What went wrong.
    pub kind: Verdict,
    /// The version it went wrong with.
    #[schemars(regex(pattern = SEMVER_PATTERN), length(max = 128))]
    pub version: String,
    /// When, RFC 3339.
    #[schemars(length(max = 64))]
    pub time: String,
}

/// How far a node is. All but `conditions` and `failed` is the agent's report, stored by the apiserver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("nullable" = true))]
pub struct BottlerocketShadowStatus {
    /// The version the node runs.
    #[schemars(regex(pattern = SEMVER_PATTERN), length(max = 128))]
    pub current_version: String,
    /// The version the host would update to by itself; the running one when there is none.
    #[schemars(regex(pattern = SEMVER_PATTERN), length(max = 128))]
    pub target_version: String,
    /// How far the node is.
    pub current_state: State,
    /// Failures in a row.
    #[schemars(range(min = 0, max = 4_294_967_295_i64))]
    pub crash_count: i64,
    /// When the last of them happened, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub state_transition_failure_timestamp: Option<String>,
    /// The agent's own version; absent with an agent of the original operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = *text::PATTERN), length(max = 64))]
    pub agent_version: Option<String>,
    /// Every version the host is offered, newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(regex(pattern = SEMVER_PATTERN), length(max = 128)))]
    pub available_versions: Option<Vec<String>>,
    /// What the agent is doing now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// One line about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = *text::PATTERN), length(max = 1024))]
    pub message: Option<String>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<AgentFailure>,
    /// The reboot that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebooting: Option<RebootIntent>,
    /// The host's `version-lock` before the agent pinned it: `latest` or a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = *text::PATTERN), length(max = 128))]
    pub version_lock_before: Option<String>,
    /// The host's `version-lock` where somebody other than the agent has set it to a version, as the host has it. Such a lock is
    /// respected: the node is offered that version alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = *text::PATTERN), length(max = 128))]
    pub version_lock: Option<String>,
    /// While the node is out of the load balancers before its drain: when the drain may begin, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub drain_not_before: Option<String>,
    /// While the host's update API gives no answer: since when that is reported, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub host_unreachable_since: Option<String>,
    /// What the controller says of the node; `Held` has the reason why it does not move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[schemars(length(max = 8))]
    pub conditions: Option<Vec<Condition>>,
    /// The controller's verdict on an update that did not become healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailureVerdict>,
}

impl BottlerocketShadowStatus {
    /// The fields that a report replaces: present or absent, they become what the agent sent. The others are the
    /// controller's and no report touches them.
    pub const REPORTED_FIELDS: [&'static str; 15] = [
        "current_version",
        "target_version",
        "current_state",
        "crash_count",
        "state_transition_failure_timestamp",
        "agent_version",
        "available_versions",
        "activity",
        "message",
        "failure",
        "rebooting",
        "version_lock_before",
        "version_lock",
        "drain_not_before",
        "host_unreachable_since",
    ];
}
