//! A node goes and comes with the host that it is.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::AbortOnDropHandle;

use super::node::RealNode;
use crate::host::{Host, HostEvent};

/// Follows the boots of a host for as long as it is held.
#[derive(Debug)]
pub(super) struct Power {
    _task: AbortOnDropHandle<()>,
}

impl Power {
    pub(super) fn follow(host: &Host, node: Arc<RealNode>) -> Self {
        let mut events = host.subscribe();
        let task = tokio::spawn(async move {
            loop {
                let done = match events.recv().await {
                    Ok(HostEvent::GoingDown { .. }) => node.power_off().await,
                    Ok(HostEvent::Up { version, .. }) => node.power_on(&version).await,
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                };
                if let Err(error) = done {
                    // A test finds the node missing.
                    tracing::error!(node = node.name(), error = format!("{error:#}"), "node not switched");
                }
            }
        });
        Self { _task: AbortOnDropHandle::new(task) }
    }
}
