//! The watches: stores of what the API server shows, and one signal that something has changed.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use api::{BottlerocketShadow, UpdatePolicy, names};
use futures::{Stream, TryStreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, PodStatus};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store, store::Writer},
        watcher::{self, watcher},
    },
};
use runtime::supervise::Supervisor;
use tokio::sync::Notify;

use crate::snapshot::strip;

/// What the API server shows.
pub(crate) struct Watches {
    pub(crate) nodes: Store<Node>,
    pub(crate) shadows: Store<DeserializeGuard<BottlerocketShadow>>,
    pub(crate) policies: Store<DeserializeGuard<UpdatePolicy>>,
    pods: Store<Pod>,
    changed: Arc<Notify>,
}

impl Watches {
    /// Starts the watches as tasks of `supervisor`.
    pub(crate) fn start(client: &Client, namespace: &str, supervisor: &mut Supervisor) -> Self {
        let changed = Arc::new(Notify::new());
        let mut tasks = Tasks { changed: changed.clone(), supervisor };
        let all = watcher::Config::default;
        let agents = all().labels(&format!("{}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT));
        Self {
            nodes: tasks.watch("nodes", Api::all(client.clone()), all(), strip),
            shadows: tasks.watch("shadows", Api::namespaced(client.clone(), namespace), all(), forget_managed_fields),
            policies: tasks.watch("policies", Api::all(client.clone()), all(), forget_managed_fields),
            pods: tasks.watch("pods", Api::namespaced(client.clone(), namespace), agents, keep_readiness),
            changed,
        }
    }

    /// Waits until every store shows a whole list.
    pub(crate) async fn synced(&self) -> anyhow::Result<()> {
        self.nodes.wait_until_ready().await?;
        self.shadows.wait_until_ready().await?;
        self.policies.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        Ok(())
    }

    /// Waits until something has changed since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The Nodes that have a Ready agent pod.
    pub(crate) fn agents_ready(&self) -> BTreeSet<String> {
        self.pods.state().iter().filter(|pod| is_ready(pod)).filter_map(|pod| node_name(pod)).collect()
    }
}

struct Tasks<'a> {
    changed: Arc<Notify>,
    supervisor: &'a mut Supervisor,
}

impl Tasks<'_> {
    fn watch<K>(&mut self, name: &'static str, api: Api<K>, config: watcher::Config, trim: fn(&mut K)) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
    {
        let (store, writer) = reflector::store();
        let events = reflect(writer, watcher(api, config), trim);
        let (changed, token) = (self.changed.clone(), self.supervisor.token());
        self.supervisor.spawn(name, async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = follow(name, events, &changed) => {}
            }
            Ok(())
        });
        store
    }
}

fn reflect<K>(
    writer: Writer<K>,
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    trim: fn(&mut K),
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    events.default_backoff().modify(trim).reflect(writer)
}

/// Follows one watch for as long as there is somebody to ask it. Errors are the API server's; the watch backs off and goes on.
async fn follow<K>(
    name: &'static str,
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    changed: &Notify,
) {
    pin_mut!(events);
    loop {
        match events.try_next().await {
            Ok(Some(_)) => changed.notify_one(),
            Ok(None) => return,
            Err(error) => tracing::warn!(watch = name, %error, "watch failed and is tried again"),
        }
    }
}

fn forget_managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Of an agent's pod only where it is and whether it is Ready.
fn keep_readiness(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
    pod.spec = pod.spec.take().map(|spec| PodSpec { node_name: spec.node_name, ..PodSpec::default() });
    pod.status = pod.status.take().map(|status| PodStatus { conditions: status.conditions, ..PodStatus::default() });
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn node_name(pod: &Pod) -> Option<String> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone())
}
