//! The watches: what cluster warnings are drawn from. Nothing waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::names::{
    DISRUPTION_RECORD_ANNOTATION, FAILURE_ACKNOWLEDGED_ANNOTATION, UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION,
};
use api::{BottlerocketShadow, UpdatePolicy};
use futures::StreamExt as _;
use futures::future::ready;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use runtime::supervise::Supervisor;

use crate::cluster::Cluster;

/// What the API server shows.
#[derive(Clone)]
pub(crate) struct Watches {
    nodes: Store<PartialObjectMeta<Node>>,
    policies: Store<DeserializeGuard<UpdatePolicy>>,
    shadows: Store<DeserializeGuard<BottlerocketShadow>>,
    synced: Arc<AtomicBool>,
}

impl Watches {
    /// Starts the watches as tasks of `supervisor`.
    pub(crate) fn start(client: &Client, namespace: &str, supervisor: &mut Supervisor) -> Self {
        let managed =
            watcher::Config::default().labels(&format!("{UPDATER_INTERFACE_LABEL}={UPDATER_INTERFACE_VERSION}"));
        let all = watcher::Config::default;
        let watches = Self {
            nodes: watch("nodes", Api::all(client.clone()), managed, keep_annotations, supervisor),
            policies: watch("policies", Api::all(client.clone()), all(), |_| {}, supervisor),
            shadows: watch("shadows", Api::namespaced(client.clone(), namespace), all(), |_| {}, supervisor),
            synced: Arc::default(),
        };
        let (waiting, token) = (watches.clone(), supervisor.token());
        supervisor.spawn("first lists", async move {
            let listed = async {
                waiting.nodes.wait_until_ready().await?;
                waiting.policies.wait_until_ready().await?;
                waiting.shadows.wait_until_ready().await?;
                waiting.synced.store(true, Ordering::Release);
                tracing::info!("cluster warnings begin");
                std::future::pending::<anyhow::Result<()>>().await
            };
            token.run_until_cancelled(listed).await.unwrap_or(Ok(()))
        });
        watches
    }

    /// The cluster at `now`, once the first lists are there.
    pub(crate) fn cluster(&self, now: Timestamp) -> Option<Cluster> {
        self.synced
            .load(Ordering::Acquire)
            .then(|| Cluster::of(self.nodes.state(), &self.policies.state(), self.shadows.state(), now))
    }
}

fn watch<K>(
    name: &'static str,
    api: Api<K>,
    config: watcher::Config,
    trim: fn(&mut K),
    supervisor: &mut Supervisor,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = watcher(api, config)
        .default_backoff()
        .modify(trim)
        .modify(|object: &mut K| object.meta_mut().managed_fields = None);
    let following = events.reflect(writer).for_each(move |event| {
        if let Err(error) = event {
            tracing::warn!(watch = name, %error, "watch failed and is tried again");
        }
        ready(())
    });
    let token = supervisor.token();
    supervisor.spawn(name, async move {
        token.run_until_cancelled(following).await;
        Ok(())
    });
    store
}

/// Keeps those of a Node's annotations that say whether it is in flight.
fn keep_annotations(node: &mut PartialObjectMeta<Node>) {
    if let Some(annotations) = &mut node.metadata.annotations {
        annotations
            .retain(|key, _| [DISRUPTION_RECORD_ANNOTATION, FAILURE_ACKNOWLEDGED_ANNOTATION].contains(&key.as_str()));
    }
}
