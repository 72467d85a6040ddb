//! What every request shares.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::drain::UnfinishedDrains;
use crate::identity::{Issuers, Lanes, Reviews};
use crate::metrics::Metrics;
use crate::node_events::NodeEvents;
use crate::open_requests::OpenRequests;
use crate::watch::Caches;

/// Tells what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The apiserver.
pub struct App {
    /// The Kubernetes API.
    pub cluster: Cluster,
    /// What the watches have brought.
    pub caches: Caches,
    /// The operator's namespace.
    pub namespace: String,
    /// Tokens that were reviewed.
    pub reviews: Reviews,
    /// Bounds the reviews under way, and shares them out.
    pub lanes: Lanes,
    /// Who issues tokens in this cluster.
    pub issuers: Issuers,
    /// The open requests of each node.
    pub open_requests: OpenRequests,
    /// What the next request of a drain goes on from.
    pub drains: UnfinishedDrains,
    /// What is counted.
    pub metrics: Metrics,
    /// The Events on Nodes.
    pub events: NodeEvents,
    /// Cancelled when the program is to end.
    pub stop: CancellationToken,
    clock: Clock,
}

impl App {
    /// An apiserver that has reviewed no token yet.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        caches: Caches,
        metrics: Metrics,
        events: NodeEvents,
        stop: CancellationToken,
        clock: Clock,
    ) -> Self {
        Self {
            namespace: cluster.namespace().to_owned(),
            cluster,
            caches,
            reviews: Reviews::default(),
            lanes: Lanes::default(),
            issuers: Issuers::default(),
            open_requests: OpenRequests::default(),
            drains: UnfinishedDrains::default(),
            metrics,
            events,
            stop,
            clock,
        }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
