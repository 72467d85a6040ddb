//! The watches: stores of what the API server shows, and one signal that something has changed.

mod heard;

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use api::{BottlerocketShadow, UpdatePolicy, names};
use futures::{Stream, TryStreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, PodStatus};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::{self, watcher},
    },
};
use runtime::{clock, supervise::Supervisor};
use tokio::sync::Notify;

use crate::{
    metrics::Metrics,
    snapshot::{says_the_same, strip},
};

/// What the API server shows.
pub(crate) struct Watches {
    pub(crate) nodes: Store<Node>,
    pub(crate) shadows: Store<DeserializeGuard<BottlerocketShadow>>,
    pub(crate) policies: Store<DeserializeGuard<UpdatePolicy>>,
    pub(crate) pods: Store<Pod>,
    changed: Arc<Notify>,
}

impl Watches {
    /// Starts the watches as tasks of `supervisor`.
    pub(crate) fn start(client: &Client, namespace: &str, metrics: &Metrics, supervisor: &mut Supervisor) -> Self {
        let changed = Arc::new(Notify::new());
        let mut tasks = Tasks { client, changed: changed.clone(), metrics: metrics.clone(), supervisor };
        let all = watcher::Config::default;
        let agents = all().labels(&agents());
        let nodes = Kind { name: "nodes", trim: strip, same: says_the_same };
        let shadows = Kind { name: "shadows", trim: forget_managed_fields, same: never_same };
        let policies = Kind { name: "policies", trim: forget_managed_fields, same: never_same };
        let pods = Kind { name: "pods", trim: keep_readiness, same: pod_says_the_same };
        Self {
            nodes: tasks.watch(nodes, Api::all, all()),
            shadows: tasks.watch(shadows, |client| Api::namespaced(client, namespace), all()),
            policies: tasks.watch(policies, Api::all, all()),
            pods: tasks.watch(pods, |client| Api::namespaced(client, namespace), agents),
            changed,
        }
    }

    /// Stores that somebody else fills.
    #[cfg(test)]
    pub(crate) fn of(
        nodes: Store<Node>,
        shadows: Store<DeserializeGuard<BottlerocketShadow>>,
        policies: Store<DeserializeGuard<UpdatePolicy>>,
        pods: Store<Pod>,
    ) -> Self {
        Self { nodes, shadows, policies, pods, changed: Arc::default() }
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
    client: &'a Client,
    changed: Arc<Notify>,
    metrics: Metrics,
    supervisor: &'a mut Supervisor,
}

/// What one kind is watched for.
struct Kind<K> {
    name: &'static str,
    /// Drops what nobody reads.
    trim: fn(&mut K),
    /// Whether an object, trimmed, asks for no plan after the one before.
    same: fn(&K, &K) -> bool,
}

impl Tasks<'_> {
    fn watch<K>(&mut self, kind: Kind<K>, api: impl FnOnce(Client) -> Api<K>, config: watcher::Config) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
    {
        let (store, writer) = reflector::store();
        let metrics = self.metrics.clone();
        let client = heard::noting(self.client, move || metrics.watched(kind.name, clock::now()));
        let events = watcher(api(client), config).default_backoff().modify(kind.trim);
        let follower =
            Follower { kind, store: store.clone(), changed: self.changed.clone(), metrics: self.metrics.clone() };
        let token = self.supervisor.token();
        self.supervisor.spawn(follower.kind.name, async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = follower.follow(events, writer) => {}
            }
            Ok(())
        });
        store
    }
}

/// Follows one watch.
struct Follower<K: Resource<DynamicType = ()> + Clone + 'static> {
    kind: Kind<K>,
    store: Store<K>,
    changed: Arc<Notify>,
    metrics: Metrics,
}

impl<K> Follower<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    /// Follows it for as long as there is somebody to ask it. Errors are the API server's; the watch backs off and goes on.
    async fn follow(self, events: impl Stream<Item = watcher::Result<watcher::Event<K>>>, mut writer: Writer<K>) {
        pin_mut!(events);
        loop {
            match events.try_next().await {
                Ok(Some(event)) => {
                    let news = self.is_news(&event);
                    writer.apply_watcher_event(&event);
                    if news {
                        self.changed.notify_one();
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.metrics.watch_failed(self.kind.name);
                    tracing::warn!(watch = self.kind.name, %error, "watch failed and is tried again");
                }
            }
        }
    }

    /// Whether the event, which the store does not show yet, may change a plan.
    fn is_news(&self, event: &watcher::Event<K>) -> bool {
        let watcher::Event::Apply(object) = event else { return true };
        let before = self.store.get(&ObjectRef::from_obj(object));
        before.is_none_or(|before| !(self.kind.same)(&before, object))
    }
}

/// Every version of it is news.
const fn never_same<K>(_: &K, _: &K) -> bool {
    false
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

/// Whether a pod, of which only this is read, is as Ready and on the same Node as before.
fn pod_says_the_same(before: &Pod, after: &Pod) -> bool {
    is_ready(before) == is_ready(after) && node_name(before) == node_name(after)
}

/// Selects the agents' pods.
pub(crate) fn agents() -> String {
    format!("{}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT)
}

/// A pod that is being terminated is not Ready, whatever its kubelet said last.
fn is_ready(pod: &Pod) -> bool {
    if pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn node_name(pod: &Pod) -> Option<String> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_ready_pod_that_is_being_terminated_is_not_ready() {
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "agent"}, "spec": {"nodeName": "a", "containers": []},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap();
        keep_readiness(&mut pod);
        assert!(is_ready(&pod));
        let before = pod.clone();
        pod.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-22T02:00:00Z")).unwrap();
        keep_readiness(&mut pod);
        assert!(!is_ready(&pod));
        assert!(!pod_says_the_same(&before, &pod), "it asks for a plan");
    }
}
