//! Writing the record of what the host's version-lock was before.

use api::shadow::Pin;
use tokio::time::sleep;

use super::node::{ATTEMPTS, always_written, pause, read_node};
use crate::app::App;
use crate::cluster::ClusterError;
use crate::identity::Identity;
use crate::node::lock_patch;
use crate::refusal::Refusal;

/// Makes the record on the caller's Node tell of `pin`, or of none.
///
/// # Errors
/// When the Node cannot be read or written, or is no longer the caller's.
#[tracing::instrument(skip_all, fields(node = identity.node))]
pub async fn record_lock(app: &App, identity: &Identity, pin: Option<&Pin>) -> Result<(), Refusal> {
    for attempt in 0..ATTEMPTS {
        let node = read_node(app, identity).await?;
        if node.pin.as_ref() == pin {
            return Ok(());
        }
        match app.cluster.patch_node(&identity.node, &lock_patch(&node, pin)).await {
            Ok(_) => return Ok(()),
            Err(ClusterError::Conflict(_)) => sleep(pause(attempt)).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(always_written(identity))
}
