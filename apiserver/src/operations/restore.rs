//! Restoring a node.

use api::Shadow;
use tokio::time::sleep;

use super::node::{ATTEMPTS, always_written, pause, read_node, write};
use crate::app::App;
use crate::cluster::ClusterError;
use crate::identity::Identity;
use crate::node::{Disruption, NotRestored, restored};
use crate::refusal::Refusal;

/// Undoes on the caller's node what the record says was done, if that is asked for now.
///
/// # Errors
/// 409 when it is not asked for, and what stands in the way of reading or writing.
#[tracing::instrument(skip_all, fields(node = identity.node))]
pub async fn restore(app: &App, identity: &Identity, what: Disruption) -> Result<(), Refusal> {
    for attempt in 0..ATTEMPTS {
        let node = read_node(app, identity).await?;
        let raw = app.cluster.shadow(&identity.node).await?;
        let raw = raw.ok_or_else(|| Refusal::no_shadow(&identity.node))?;
        let shadow = Shadow::try_from(&raw).map_err(|error| NotRestored::Unreadable(error.to_string()))?;
        let Some(change) = restored(what, &shadow, &node, app.now())? else {
            return Ok(());
        };
        match write(app, &node, &change).await {
            Ok(_) => {
                tracing::info!(node = identity.node, restored = ?what, "node restored");
                return Ok(());
            }
            Err(ClusterError::Conflict(_)) => sleep(pause(attempt)).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(always_written(identity))
}
