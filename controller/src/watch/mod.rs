//! The watches: stores of what the API server shows, and one signal that something has changed.

mod agent_pod;
mod heard;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use api::{UpdatePolicy, names};
use futures::{Stream, TryStreamExt as _, pin_mut};
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use runtime::clock;
use runtime::supervise::Supervisor;
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::snapshot::{WatchedNode, WatchedShadow};
pub(crate) use agent_pod::AgentPod;

/// How many objects the API server sends at once of a list. A page is held as it was sent while it is parsed: a Node with the list
/// of its images has some fourteen kilobytes.
const PAGE: u32 = 50;

/// What the API server shows. Clones share it.
#[derive(Clone)]
pub(crate) struct Watches {
    pub(crate) nodes: Store<WatchedNode>,
    pub(crate) shadows: Store<WatchedShadow>,
    pub(crate) policies: Store<DeserializeGuard<UpdatePolicy>>,
    pub(crate) pods: Store<AgentPod>,
    changed: Arc<Notify>,
}

impl Watches {
    /// Starts the watches as tasks of `supervisor`.
    pub(crate) fn start(client: &Client, namespace: &str, metrics: &Metrics, supervisor: &mut Supervisor) -> Self {
        let changed = Arc::new(Notify::new());
        let mut tasks = Tasks { client, changed: changed.clone(), metrics: metrics.clone(), supervisor };
        let all = || watcher::Config::default().page_size(PAGE);
        let agents = all().labels(&agents());
        let nodes = Kind { name: "nodes", same: |before, after: &WatchedNode| after.says_the_same(before) };
        let shadows = Kind { name: "shadows", same: never_same };
        let policies = Kind { name: "policies", same: never_same };
        let pods = Kind { name: "pods", same: |before, after: &AgentPod| after.says_the_same(before) };
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
        nodes: Store<WatchedNode>,
        shadows: Store<WatchedShadow>,
        policies: Store<DeserializeGuard<UpdatePolicy>>,
        pods: Store<AgentPod>,
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
        self.pods.state().iter().filter_map(|pod| pod.ready_on().map(str::to_owned)).collect()
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
    /// Whether an object asks for no plan after the one before.
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
        let events = watcher(api(client), config).default_backoff();
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

/// Selects the agents' pods.
pub(crate) fn agents() -> String {
    format!("{}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT)
}
