//! Recording a disruption on a Node, and then cordoning it or excluding it from load balancers.

use api::{DisruptionRecord, Shadow};
use thiserror::Error;
use tokio::time::sleep;

use super::node::{ATTEMPTS, always_written, pause, read_node, write};
use crate::app::App;
use crate::cluster::ClusterError;
use crate::identity::Identity;
use crate::node::{Change, Disruption, NextWrite, NodeFacts, NotAllowed, leftover, next_write};
use crate::refusal::Refusal;

/// Why a disruption did not come to pass, or does not go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotDisrupted {
    /// It is not allowed now.
    #[error(transparent)]
    NotAllowed(NotAllowed),
    /// Something else stands in the way.
    #[error("{}", .0.error)]
    Refused(Refusal),
}

impl From<NotAllowed> for NotDisrupted {
    fn from(not_allowed: NotAllowed) -> Self {
        Self::NotAllowed(not_allowed)
    }
}

impl From<Refusal> for NotDisrupted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ClusterError> for NotDisrupted {
    fn from(error: ClusterError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<NotDisrupted> for Refusal {
    fn from(not: NotDisrupted) -> Self {
        match not {
            NotDisrupted::NotAllowed(not_allowed) => not_allowed.into(),
            NotDisrupted::Refused(refusal) => refusal,
        }
    }
}

/// The record a call wrote, and the one it replaced.
struct WrittenRecord {
    record: DisruptionRecord,
    before: Option<DisruptionRecord>,
}

/// Does to the caller's node what it asks for, if it may, and answers with the record under which that is so.
///
/// # Errors
/// When it may not, or the Node or the shadow cannot be read or written.
#[tracing::instrument(skip_all, fields(node = identity.node))]
pub async fn disrupt(app: &App, identity: &Identity, what: Disruption) -> Result<DisruptionRecord, NotDisrupted> {
    let mut node = read_node(app, identity).await?;
    let mut written: Option<WrittenRecord> = None;
    for attempt in 0..ATTEMPTS {
        let shadow = read_shadow(app, identity).await?;
        let next = match next_write(what, &shadow, &node, written.is_some(), app.now()) {
            Ok(next) => next,
            Err(not_allowed) => {
                remove_leftover(app, identity, &shadow, node, written.as_ref()).await;
                return Err(not_allowed.into());
            }
        };
        let (change, record) = match next {
            NextWrite::Nothing(record) => return Ok(record),
            NextWrite::Record(record) => (Change::record(Some(record.clone())), Some(record)),
            NextWrite::Change(change) => (change, None),
        };
        match (write(app, &node, &change).await, record) {
            (Ok(after), Some(record)) => {
                written = Some(WrittenRecord { before: before(&node, written), record });
                node = after;
            }
            (Ok(after), None) => {
                tracing::info!(node = identity.node, disruption = ?what, "node disrupted");
                return after.record.ok().flatten().ok_or_else(|| NotAllowed::NotBegun.into());
            }
            (Err(ClusterError::Conflict(_)), _) => {
                sleep(pause(attempt)).await;
                node = read_node(app, identity).await?;
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
    Err(always_written(identity).into())
}

/// What to write again when the record that is about to be written has to go.
fn before(node: &NodeFacts, written: Option<WrittenRecord>) -> Option<DisruptionRecord> {
    let present = node.record.clone().ok().flatten();
    match written {
        Some(written) if present.as_ref() == Some(&written.record) => written.before,
        _ => present,
    }
}

/// Removes what a refused call left on the Node. When that fails, the next call or the restore does it.
async fn remove_leftover(
    app: &App,
    identity: &Identity,
    shadow: &Shadow,
    mut node: NodeFacts,
    written: Option<&WrittenRecord>,
) {
    for attempt in 0..ATTEMPTS {
        let record = written.map(|written| &written.record);
        let before = written.and_then(|written| written.before.as_ref());
        let Some(change) = leftover(shadow, &node, record, before) else {
            return;
        };
        let error = match write(app, &node, &change).await {
            Ok(_) => return,
            Err(ClusterError::Conflict(_)) => {
                sleep(pause(attempt)).await;
                match read_node(app, identity).await {
                    Ok(present) => {
                        node = present;
                        continue;
                    }
                    Err(refusal) => refusal.error,
                }
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!(node = identity.node, error, "cannot remove the record of a refused disruption");
        return;
    }
}

async fn read_shadow(app: &App, identity: &Identity) -> Result<Shadow, NotDisrupted> {
    let raw = app.cluster.shadow(&identity.node).await?;
    let raw = raw.ok_or_else(|| Refusal::no_shadow(&identity.node))?;
    Shadow::try_from(&raw).map_err(|error| NotAllowed::Unreadable(error.to_string()).into())
}

/// The Node and the shadow as they are now, for a drain that wants to know whether it may go on.
///
/// # Errors
/// When one of them cannot be had or read.
pub(super) async fn read_both(app: &App, identity: &Identity) -> Result<(NodeFacts, Shadow), NotDisrupted> {
    let node = read_node(app, identity).await?;
    Ok((node, read_shadow(app, identity).await?))
}
