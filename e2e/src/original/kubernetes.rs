//! What the original reads of Kubernetes by itself: a watch of its shadow, one of its Node.

use std::path::Path;

use anyhow::Context;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config};
use tokio_util::task::AbortOnDropHandle;

use super::apiserver::Selector;
use super::shadow::{Shadow, kind};
use super::time_scale::{Retries, TimeScale};

const NAMESPACE: &str = "brupop-bottlerocket-aws";

/// The shadow and the Node, as its watches have brought them.
pub(super) struct Cluster {
    node: String,
    scale: TimeScale,
    shadows: Api<Shadow>,
    shadow: Store<Shadow>,
    own_node: Store<Node>,
    _watches: [AbortOnDropHandle<()>; 2],
}

impl Cluster {
    /// Begins to watch.
    pub(super) async fn watch(kubeconfig: &Path, node: String, scale: TimeScale) -> anyhow::Result<Self> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).context("kubeconfig")?;
        let client =
            Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)?;
        let shadows = Api::namespaced_with(client.clone(), NAMESPACE, &kind());
        let writer = reflector::store::Writer::new(kind());
        let shadow = writer.as_reader();
        let only = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let watch = watcher(shadows.clone(), only(&format!("brs-{node}"))).default_backoff().reflect(writer);
        let shadow_watch = tokio::spawn(watch.for_each(|event| async move { log(event.err()) }));
        let (own_node, writer) = reflector::store();
        let watch = watcher(Api::<Node>::all(client), only(&node)).default_backoff().reflect(writer);
        let node_watch = tokio::spawn(watch.for_each(|event| async move { log(event.err()) }));
        let watches = [AbortOnDropHandle::new(shadow_watch), AbortOnDropHandle::new(node_watch)];
        Ok(Self { node, scale, shadows, shadow, own_node, _watches: watches })
    }

    /// Whether there is a shadow: in the cache, or else in Kubernetes.
    pub(super) async fn has_shadow(&self) -> anyhow::Result<bool> {
        if !self.shadow.state().is_empty() {
            return Ok(true);
        }
        let found = self.shadows.get_opt(&format!("brs-{}", self.node)).await.context("shadow")?;
        Ok(found.is_some())
    }

    /// The cached shadow.
    pub(super) async fn shadow(&self) -> anyhow::Result<Shadow> {
        let look =
            async || self.shadow.state().first().map(|shadow| (**shadow).clone()).context("no shadow in the cache");
        self.scale.retry(Retries::CACHE, look).await
    }

    /// The node, with the uid that the cached Node has.
    pub(super) async fn selector(&self) -> anyhow::Result<Selector> {
        let look = async || {
            let node = self.own_node.state().first().cloned().context("no Node in the cache")?;
            let uid = node.metadata.uid.clone().context("a Node without a uid")?;
            Ok(Selector { name: self.node.clone(), uid })
        };
        self.scale.retry(Retries::CACHE, look).await
    }
}

fn log(error: Option<watcher::Error>) {
    if let Some(error) = error {
        tracing::warn!(%error, "watch");
    }
}
