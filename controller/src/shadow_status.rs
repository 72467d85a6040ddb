//! What the controller says of a node on its shadow: conditions and verdict.

use api::condition::{Statement, merge};
use api::shadow::{Failed, FailureVerdict};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::plan::{BOOTED, NodePlan, Plan};
use crate::snapshot::Snapshot;

/// The controller's part of a shadow's status, as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowStatus {
    /// The node.
    pub node: String,
    /// The shadow.
    pub shadow: String,
    /// The shadow's uid, the precondition of the write.
    pub uid: String,
    /// The version that this was decided on, the precondition of the write: a verdict that was stored meanwhile must not be undone
    /// unseen, since others' places depend on it.
    pub resource_version: String,
    /// `Held` where the node does not move, and `Booted` where it was to reboot.
    pub conditions: Vec<Condition>,
    /// The verdict, if one stands.
    pub failed: Option<FailureVerdict>,
}

/// The statuses that differ from what is stored. A node that moves or is up to date has no `Held`: an empty column says more than
/// a reason that means "no".
#[must_use]
pub fn changed(snapshot: &Snapshot, plan: &Plan) -> Vec<ShadowStatus> {
    plan.nodes.iter().filter_map(|(node, node_plan)| status(snapshot, node, node_plan)).collect()
}

fn status(snapshot: &Snapshot, node: &str, node_plan: &NodePlan) -> Option<ShadowStatus> {
    let shadow = snapshot.shadows.get(node).and_then(|shadow| shadow.readable())?;
    // Before the first report there is no status that conditions could be applied to.
    let observed = shadow.observed.as_ref()?;
    let held = node_plan.hold.as_ref().map(|hold| Statement {
        kind: "Held",
        holds: Some(true),
        reason: hold.reason.as_str(),
        message: hold.message.clone(),
    });
    let booted = node_plan.booted.map(|booted| Statement {
        kind: BOOTED,
        holds: Some(booted.up),
        reason: booted.reason,
        message: String::new(),
    });
    let statements: Vec<_> = held.into_iter().chain(booted).collect();
    // A time of the future is that of a clock which was put back.
    let past: Vec<_> =
        shadow.conditions.iter().filter(|known| known.last_transition_time.0 <= snapshot.now).cloned().collect();
    let conditions = merge(&past, &statements, None, snapshot.now);
    // In whatever order they are stored.
    let same =
        conditions.len() == shadow.conditions.len() && conditions.iter().all(|it| shadow.conditions.contains(it));
    (!same || node_plan.failed.as_deref() != observed.failed.as_ref()).then(|| ShadowStatus {
        node: node.to_owned(),
        shadow: shadow.name.clone(),
        uid: shadow.uid.clone(),
        resource_version: shadow.resource_version.clone(),
        conditions,
        failed: node_plan.failed.as_deref().map(Failed::stored),
    })
}
