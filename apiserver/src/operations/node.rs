//! Reading a Node and writing it, on the condition that it is still what was read.

use std::time::Duration;

use api::wire::Reason;
use runtime::backoff::Backoff;

use crate::app::App;
use crate::cluster::ClusterError;
use crate::identity::{Denied, Identity};
use crate::node::{Change, NodeFacts};
use crate::refusal::Refusal;

/// How often a write is tried again because somebody else wrote the Node in between. Kubelets write it often.
pub(super) const ATTEMPTS: u32 = 10;
/// Between two attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(25), longest: Duration::from_millis(400) };

/// The caller's Node, as it is now.
///
/// # Errors
/// When it cannot be had, or is no longer the one whose agent was identified.
pub async fn read_node(app: &App, identity: &Identity) -> Result<NodeFacts, Refusal> {
    let node = NodeFacts::try_from(&app.cluster.node(&identity.node).await?)?;
    if node.id.uid == identity.node_uid { Ok(node) } else { Err(Denied::StaleNode.into()) }
}

pub(super) async fn write(app: &App, node: &NodeFacts, change: &Change) -> Result<NodeFacts, ClusterError> {
    let after = app.cluster.patch_node(&node.id.name, &change.patch(node)).await?;
    NodeFacts::try_from(&after).map_err(|error| ClusterError::Unavailable(error.to_string()))
}

/// The pause before another attempt.
pub(super) fn pause(attempt: u32) -> Duration {
    BACKOFF.pause(attempt + 1, fastrand::f64())
}

/// The refusal after the last of the attempts.
pub(super) fn always_written(identity: &Identity) -> Refusal {
    let error = format!("node {} is being written by somebody else all the time", identity.node);
    Refusal::new(Reason::Unavailable, error)
}
