//! `UpdatePolicy`: who may be updated, when, how many at once, and what counts as healthy.
//!
//! [`UpdatePolicySpec`] is what people write and the API server stores; [`Policy`] is what the rules read. [`parse`] is the
//! only way from one to the other, for the webhook and for the controller.

pub mod claim;
mod fault;
pub mod parse;
pub(crate) mod rules;
mod status;

use garde::Validate;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::shadow::OnTimeout;
pub use fault::{Fault, InvalidPolicy, Problem};
pub use parse::{DrainRule, Policy};
pub use status::{
    AcceptedReason, MAX_LISTED_NODES, MAX_LISTED_VERSIONS, NodeCounts, NodeNext, NodeUpdating, PolicyCondition,
    PromotionStep, UpdatePolicyStatus, VersionSeen, WindowStatus,
};

/// Who may be updated, when, how many at once, and what counts as healthy.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[kube(
    group = "brupop.bottlerocket.aws",
    version = "v1alpha1",
    kind = "UpdatePolicy",
    plural = "updatepolicies",
    singular = "updatepolicy",
    shortname = "bup",
    status = "UpdatePolicyStatus",
    derive = "PartialEq",
    doc = "How the Bottlerocket nodes that a selector names are updated: how many at once, when, and what counts as healthy. A node that no policy selects is never updated.",
    printcolumn = r#"{"name":"Paused","type":"boolean","jsonPath":".spec.paused"}"#,
    printcolumn = r#"{"name":"Accepted","type":"string","jsonPath":".status.conditions[?(@.type==\"Accepted\")].status"}"#,
    printcolumn = r#"{"name":"Nodes","type":"integer","jsonPath":".status.nodes.matched","description":"Nodes updated under this policy"}"#,
    printcolumn = r#"{"name":"Updated","type":"integer","jsonPath":".status.nodes.updated"}"#,
    printcolumn = r#"{"name":"Updating","type":"integer","jsonPath":".status.nodes.updating"}"#,
    printcolumn = r#"{"name":"Waiting","type":"integer","jsonPath":".status.nodes.waiting"}"#,
    printcolumn = r#"{"name":"Held","type":"integer","jsonPath":".status.nodes.held"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type==\"Progressing\")].message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[garde(allow_unvalidated)]
pub struct UpdatePolicySpec {
    /// The andon cord: while true no node starts and no node is disrupted; a disruption that has begun finishes. Example:
    /// `true`.
    #[serde(default)]
    pub paused: bool,
    /// Of several policies that select a node the one of highest priority applies. A tie holds the node. Example: `100`.
    #[serde(default)]
    pub priority: i32,
    /// The nodes this policy is for; `{}` is every managed node. Prefer labels under `node-restriction.kubernetes.io/`: a
    /// kubelet can change the others on its own Node. Example: `{matchLabels: {node-restriction.kubernetes.io/pool: blue}}`.
    #[schemars(schema_with = "rules::selector")]
    #[garde(custom(selector_is_bounded))]
    pub node_selector: LabelSelector,
    /// How many nodes may be in flight at once: a number from 1, a percentage of the nodes this policy applies to (rounded
    /// down, at least 1), or `unlimited`. Example: `"10%"`.
    #[serde(default = "one")]
    #[schemars(schema_with = "rules::limit")]
    pub max_concurrent_updates: IntOrString,
    /// No node starts while the policy's unavailable nodes (not Ready, cordoned by anyone, failed, or in flight) and the
    /// new one would be more than this: a number from 1, or a percentage (rounded down, at least 1). Example: `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::amount")]
    pub max_unavailable: Option<IntOrString>,
    /// A node label: nodes of only one value of it are in flight at a time. Example: `topology.kubernetes.io/zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 317)))]
    #[schemars(length(min = 1, max = 317), transform = rules::label_key)]
    pub topology_key: Option<String>,
    /// Take the node out of external load balancers before it is drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub load_balancer_exclusion: Option<LoadBalancerExclusion>,
    /// When a disruption may begin. Without it: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub schedule: Option<Schedule>,
    /// Which versions are taken. Without it: the newest the host is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub versions: Option<Versions>,
    /// How a node is drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub drain: Option<Drain>,
    /// What counts as healthy after the reboot. Without it: the node is Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub health: Option<Health>,
    /// What happens after failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub failures: Option<Failures>,
}

fn one() -> IntOrString {
    IntOrString::Int(1)
}

/// The bounds that the schema gives a selector.
fn selector_is_bounded(selector: &LabelSelector, (): &()) -> garde::Result {
    let too_many = |what: &str, most: usize| Err(garde::Error::new(format!("more than {most} {what}")));
    if selector.match_labels.as_ref().is_some_and(|labels| labels.len() > rules::MAX_LABELS) {
        return too_many("labels", rules::MAX_LABELS);
    }
    let expressions = selector.match_expressions.as_deref().unwrap_or_default();
    if expressions.len() > rules::MAX_EXPRESSIONS {
        return too_many("expressions", rules::MAX_EXPRESSIONS);
    }
    let mut values = expressions.iter().map(|expression| expression.values.as_ref().map_or(0, Vec::len));
    if values.any(|values| values > rules::MAX_VALUES) { too_many("values", rules::MAX_VALUES) } else { Ok(()) }
}

/// Take the node out of external load balancers before it is drained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerExclusion {
    /// Seconds between the label `node.kubernetes.io/exclude-from-external-load-balancers` and the drain; 0 leaves the
    /// label alone. Example: `60`.
    #[serde(default)]
    #[garde(range(min = 0, max = 86_400))]
    pub wait_seconds: i64,
}

/// When a disruption may begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// IANA name of the time zone that the windows are in. Without it: UTC. Example: `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 64)))]
    #[schemars(length(min = 1, max = 64), transform = rules::time_zone, extend("default" = "UTC"))]
    pub time_zone: Option<String>,
    /// A disruption begins only inside one of these. None: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = 32), dive)]
    pub windows: Vec<Window>,
    /// No disruption begins inside any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = 64), dive)]
    pub blackouts: Vec<Blackout>,
}

/// A stretch of time that comes again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it opens: five cron fields (minute, hour, day of month, month, weekday) in the schedule's time zone. Example:
    /// `0 2 * * 1-5`.
    #[garde(length(min = 9, max = 128))]
    #[schemars(transform = rules::cron)]
    pub start: String,
    /// How long it stays open, at most 31 days; no change of the clocks alters it. Example: `4h`.
    #[garde(length(min = 2, max = 24))]
    #[schemars(transform = rules::duration)]
    pub duration: String,
}

/// A stretch of time in which no disruption begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::blackout)]
pub struct Blackout {
    /// Its first instant, RFC 3339 with an offset. Example: `2026-12-20T00:00:00+01:00`.
    #[garde(length(min = 20, max = 64))]
    #[schemars(transform = rules::time)]
    pub start: String,
    /// The first instant after it, RFC 3339 with an offset. Example: `2027-01-02T00:00:00+01:00`.
    #[garde(length(min = 20, max = 64))]
    #[schemars(transform = rules::time)]
    pub end: String,
    /// Shown to people. Example: `year end freeze`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(max = 256)))]
    #[schemars(length(max = 256))]
    pub reason: Option<String>,
}

/// Which versions are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// A semver range. Example: `>=1.19, <1.21`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 1, max = 256)))]
    #[schemars(length(min = 1, max = 256), transform = rules::constraint)]
    pub constraint: Option<String>,
    /// How long ago a version must have been seen first in this cluster. Example: `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 2, max = 24)))]
    #[schemars(length(min = 2, max = 24), transform = rules::duration)]
    pub minimum_age: Option<String>,
    /// Promotion: a version is taken here only after the nodes of these policies have run it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = 16), dive)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["policy"]))]
    pub after: Vec<After>,
}

/// One step of a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct After {
    /// The policy whose nodes go first. Example: `canary`.
    #[garde(length(min = 1, max = 253))]
    #[schemars(transform = rules::policy_name)]
    pub policy: String,
    /// How long at least one of its nodes must have run the version, healthy. Example: `24h`.
    #[garde(length(min = 2, max = 24))]
    #[schemars(transform = rules::duration)]
    pub soak: String,
}

/// How a node is drained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// How long a drain may take, at most 7 days. Without it: 30 minutes. Example: `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 2, max = 24)))]
    #[schemars(length(min = 2, max = 24), transform = rules::duration, extend("default" = "30m"))]
    pub timeout: Option<String>,
    /// What then. `Abort` restores the node and tries again later; `Force` deletes the pods that are left, past their
    /// budgets. Without it: `Abort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schemars(extend("default" = "Abort"))]
    pub on_timeout: Option<OnTimeout>,
}

/// What counts as healthy after the reboot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Seconds for which the node must have been Ready. Without it: 0. Example: `120`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(range(min = 0, max = 86_400)))]
    #[schemars(extend("default" = 0))]
    pub min_ready_seconds: Option<i64>,
    /// How long the node has until it is healthy. Without it: 30 minutes. Example: `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(min = 2, max = 24)))]
    #[schemars(length(min = 2, max = 24), transform = rules::duration, extend("default" = "30m"))]
    pub timeout: Option<String>,
    /// Questions to the Node object that must all be answered as expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = 16), dive)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub checks: Vec<HealthCheck>,
}

/// One question to the Node object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Shown to people. Example: `disk`.
    #[garde(length(min = 1, max = 63))]
    pub name: String,
    /// The question.
    #[garde(dive)]
    pub node: NodeQuestion,
}

/// A path into the Node object and what is expected there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct NodeQuestion {
    /// RFC 9535 JSONPath into the Node's labels, annotations, spec, conditions, allocatable, capacity or nodeInfo. At most 8
    /// steps: `.name`, `['name']`, `[*]`, an index, or a filter of at most 8 comparisons of `@` paths with values, joined by `&&`
    /// or `||`. No functions, no `..`, no lists or slices in a bracket, no filter in a filter, no `$` in a filter. Example:
    /// `$.status.conditions[?@.type=='DiskPressure'].status`.
    #[garde(length(min = 1, max = 512))]
    #[schemars(transform = rules::json_path)]
    pub json_path: String,
    /// Every match must be one of these, and there must be a match. Example: `["False"]`.
    #[garde(length(min = 1, max = 16), inner(length(max = 256)))]
    pub expect: Vec<String>,
}

/// What happens after failures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// Once this many of the policy's nodes have failed on one version no further node starts it: a number from 1, or a
    /// percentage (rounded down, at least 1). Without it: 1. Example: `"5%"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::halt_after")]
    #[garde(skip)]
    pub halt_after: Option<IntOrString>,
}
