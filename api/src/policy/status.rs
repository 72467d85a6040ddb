//! The status of a policy: what its nodes are doing, in bounded lists.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::versions::Promotion;

/// Most entries of `updating` and `next`; the counts are never cut.
pub const MAX_LISTED_NODES: usize = 50;
/// Most entries of `versions`.
pub const MAX_LISTED_VERSIONS: usize = 1024;

/// The condition types of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyCondition {
    /// The policy can be read and nothing in it is unsupported.
    Accepted,
    /// Nodes are being updated, or will be without anybody's help.
    Progressing,
    /// Every node it applies to runs the version it should.
    UpToDate,
    /// Too many nodes failed on a version.
    Halted,
    /// Another policy of the same priority selects some of its nodes.
    Conflict,
    /// The controller refused its own plan, or an object of the policy's cannot be read.
    Degraded,
}

impl PolicyCondition {
    /// The type as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Progressing => "Progressing",
            Self::UpToDate => "UpToDate",
            Self::Halted => "Halted",
            Self::Conflict => "Conflict",
            Self::Degraded => "Degraded",
        }
    }
}

/// Why a policy is accepted, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedReason {
    /// It is followed.
    Accepted,
    /// Something in it cannot be read or is not supported; the message names the field.
    Invalid,
    /// Planning did not come to an end over this generation of it. It is not tried again before its spec is edited.
    PlanningDeadlineExceeded,
}

impl AcceptedReason {
    /// The reason as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Invalid => "Invalid",
            Self::PlanningDeadlineExceeded => "PlanningDeadlineExceeded",
        }
    }
}

/// What the nodes of a policy are doing. Written by the controller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdatePolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Progressing`, `UpToDate`, `Halted`, `Conflict` and `Degraded`. A policy that is not `Accepted` holds its nodes:
    /// `Invalid` names the field that cannot be followed, `PlanningDeadlineExceeded` says that the controller did not come to an end
    /// over this generation of the spec and does not try it again before it is edited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[schemars(length(max = 8))]
    pub conditions: Vec<Condition>,
    /// How many nodes are how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeCounts>,
    /// Whether the schedule is open, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowStatus>,
    /// The nodes in flight, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub updating: Vec<NodeUpdating>,
    /// What would start next if nothing but the pause were lifted, in order, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub next: Vec<NodeNext>,
    /// The versions that living nodes are offered or run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub versions: Vec<VersionSeen>,
    /// The `versions.after` under which every `promotedAt` was written. An edit of the rule takes them all back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub promoted_under: Vec<PromotionStep>,
}

impl UpdatePolicyStatus {
    /// Whether it says that planning did not come to an end over this generation of the policy.
    #[must_use]
    pub fn exceeded_deadline(&self, generation: i64) -> bool {
        self.conditions.iter().any(|condition| {
            condition.type_ == PolicyCondition::Accepted.as_str()
                && condition.status == "False"
                && condition.reason == AcceptedReason::PlanningDeadlineExceeded.as_str()
                && condition.observed_generation == Some(generation)
        })
    }
}

/// One step of the promotion that versions were promoted under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionStep {
    /// The policy whose nodes went first.
    #[schemars(length(max = 253))]
    pub policy: String,
    /// How long one of them had to run the version, healthy, in seconds.
    pub soak_seconds: i64,
}

impl From<&Promotion> for PromotionStep {
    fn from(step: &Promotion) -> Self {
        Self { policy: step.policy.clone(), soak_seconds: step.soak.as_secs() }
    }
}

/// How many nodes of a policy are how far. `matched` is the sum of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCounts {
    /// Nodes that this policy applies to.
    pub matched: i64,
    /// Of these: run the newest version they may.
    pub updated: i64,
    /// Are in flight.
    pub updating: i64,
    /// Will start without anybody's help once others have finished or a time has come.
    pub waiting: i64,
    /// Need something to change before they start.
    pub held: i64,
    /// Have failed and are not in flight.
    pub failed: i64,
}

/// Whether the schedule is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowStatus {
    /// Whether a disruption may begin now.
    pub open: bool,
    /// When that ends, RFC 3339; absent when it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub closes_at: Option<String>,
    /// When a closed schedule opens again, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub next_opens_at: Option<String>,
}

/// A node in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeUpdating {
    /// The Node's name.
    #[schemars(length(max = 253))]
    pub node: String,
    /// What its agent is doing, or the state it is asked for.
    #[schemars(length(max = 64))]
    pub activity: String,
    /// When its present state was asked for, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub since: Option<String>,
    /// What the agent says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// A node that would start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeNext {
    /// The Node's name.
    #[schemars(length(max = 253))]
    pub node: String,
    /// The version it would be updated to.
    #[schemars(length(max = 128))]
    pub version: String,
}

/// What is known of a version under this policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionSeen {
    /// The version.
    #[schemars(length(max = 128))]
    pub version: String,
    /// When this cluster was offered it first, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub first_seen: Option<String>,
    /// From when on it may be taken, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub eligible_at: Option<String>,
    /// When the policies before this one had run it for long enough, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub promoted_at: Option<String>,
    /// The node of this policy that has run it, or a newer one, healthy, for longest. Policies that come after this one count
    /// their soak by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run_by: Option<String>,
    /// Since when that node has, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub run_since: Option<String>,
    /// Nodes of this policy that run it.
    #[serde(default)]
    pub nodes: i64,
    /// Nodes of this policy that failed on it.
    #[serde(default)]
    pub failed: i64,
}
