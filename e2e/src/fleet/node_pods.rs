//! The pods of agents on one node, as its kubelet sees them.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};

use super::pods::{self, AgentPod};

/// A watch of the pods, and what it has seen.
pub(super) struct NodePods {
    seen: Store<Pod>,
    events: Pin<Box<dyn Stream<Item = watcher::Result<watcher::Event<Pod>>> + Send>>,
    known: bool,
}

impl NodePods {
    pub(super) fn watch(pods: Api<Pod>, node: &str) -> Self {
        let (seen, writer) = reflector::store();
        let config = watcher::Config::default().labels(&pods::label()).fields(&pods::field(node));
        let events = watcher(pods, config).default_backoff().reflect(writer).boxed();
        Self { seen, events, known: false }
    }

    /// Waits until they have changed, or might have. It may be given up at any time.
    pub(super) async fn changed(&mut self) {
        match self.events.next().await {
            Some(Ok(watcher::Event::InitDone)) => self.known = true,
            Some(Ok(_)) => {}
            Some(Err(error)) => tracing::warn!(%error, "pods of a node not seen"),
            None => std::future::pending().await,
        }
    }

    /// Whether the first list is whole: before that, what has not been seen may be there all the same.
    pub(super) const fn are_known(&self) -> bool {
        self.known
    }

    /// The pod whose agent is to run.
    pub(super) fn latest(&self) -> Option<AgentPod> {
        pods::latest(self.seen.state().iter().map(|pod| &**pod))
    }
}
