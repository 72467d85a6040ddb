//! Marking a node and then cordoning it or taking it out of the load balancers.

use api::{DisruptionRecord, Shadow};
use thiserror::Error;
use tokio::time::sleep;

use super::node::{ATTEMPTS, always_written, pause, read_node, write};
use crate::app::App;
use crate::cluster::ClusterError;
use crate::identity::Identity;
use crate::node::{Change, Goal, NoRight, NodeFacts, Step, leftover, step};
use crate::refusal::Refusal;

/// Why a disruption did not come to pass, or does not go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotDisrupted {
    /// The caller has no right to it now.
    #[error(transparent)]
    NoRight(NoRight),
    /// Something else stands in the way.
    #[error("{}", .0.error)]
    Refused(Refusal),
}

impl From<NoRight> for NotDisrupted {
    fn from(no_right: NoRight) -> Self {
        Self::NoRight(no_right)
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
            NotDisrupted::NoRight(no_right) => no_right.into(),
            NotDisrupted::Refused(refusal) => refusal,
        }
    }
}

/// The mark a call wrote, and the one it took the place of.
struct OwnRecord {
    written: DisruptionRecord,
    before: Option<DisruptionRecord>,
}

/// Does to the caller's node what it asks for, if it may, and answers with the marks under which that is so.
///
/// # Errors
/// When it may not, or the Node or the shadow cannot be read or written.
pub async fn disrupt(app: &App, identity: &Identity, goal: Goal) -> Result<DisruptionRecord, NotDisrupted> {
    let mut node = read_node(app, identity).await?;
    let mut own: Option<OwnRecord> = None;
    for attempt in 0..ATTEMPTS {
        let shadow = read_shadow(app, identity).await?;
        let next = match step(goal, &shadow, &node, own.is_some(), app.now()) {
            Ok(next) => next,
            Err(no_right) => {
                take_back(app, identity, &shadow, node, own.as_ref()).await;
                return Err(no_right.into());
            }
        };
        let (change, mark) = match next {
            Step::Done(record) => return Ok(record),
            Step::Mark(record) => (Change::record(Some(record.clone())), Some(record)),
            Step::Act(change) => (change, None),
        };
        match (write(app, &node, &change).await, mark) {
            (Ok(after), Some(written)) => {
                own = Some(OwnRecord { before: before(&node, own), written });
                node = after;
            }
            (Ok(after), None) => {
                tracing::info!(node = identity.node, goal = ?goal, "node disrupted");
                return after.record.ok().flatten().ok_or_else(|| NoRight::NotBegun.into());
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

/// What to restore when the mark that is about to be written has to be taken back.
fn before(node: &NodeFacts, own: Option<OwnRecord>) -> Option<DisruptionRecord> {
    let present = node.record.clone().ok().flatten();
    match own {
        Some(own) if present.as_ref() == Some(&own.written) => own.before,
        _ => present,
    }
}

/// Takes back what a refused call left on the Node. When that fails, the next call or the giving back does it.
async fn take_back(app: &App, identity: &Identity, shadow: &Shadow, mut node: NodeFacts, own: Option<&OwnRecord>) {
    for attempt in 0..ATTEMPTS {
        let written = own.map(|own| &own.written);
        let Some(change) = leftover(shadow, &node, written, own.and_then(|own| own.before.as_ref())) else {
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
        tracing::warn!(node = identity.node, error, "cannot take a mark back");
        return;
    }
}

async fn read_shadow(app: &App, identity: &Identity) -> Result<Shadow, NotDisrupted> {
    let raw = app.cluster.shadow(&identity.node).await?;
    let raw = raw.ok_or_else(|| Refusal::no_shadow(&identity.node))?;
    Shadow::try_from(&raw).map_err(|error| NoRight::Unreadable(error.to_string()).into())
}

/// The Node and the shadow as they are now, for a drain that wants to know whether it may go on.
///
/// # Errors
/// When one of them cannot be had or read.
pub(super) async fn read_both(app: &App, identity: &Identity) -> Result<(NodeFacts, Shadow), NotDisrupted> {
    let node = read_node(app, identity).await?;
    Ok((node, read_shadow(app, identity).await?))
}
