//! The two watches: agents' pods and shadows of the operator's namespace.

use std::pin::pin;
use std::sync::Arc;

use api::names::{AGENT_COMPONENT, COMPONENT_LABEL, shadow_name};
use api::{BottlerocketShadow, State};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, ResourceExt};
use tokio::sync::OnceCell;

use crate::identity::PodIdentity;
use crate::shadow::Waiters;

/// A shadow, or what is left of one that cannot be read: it does not stop the watch.
pub type Guarded = DeserializeGuard<BottlerocketShadow>;

/// What the watches have brought so far.
#[derive(Clone)]
pub struct Caches {
    namespace: String,
    pods: Store<Pod>,
    shadows: Store<Guarded>,
    waiters: Arc<Waiters>,
    synced: Arc<OnceCell<()>>,
}

/// The writing side of [`Caches`].
pub struct Writers {
    pods: reflector::store::Writer<Pod>,
    shadows: reflector::store::Writer<Guarded>,
    waiters: Arc<Waiters>,
}

/// Empty caches of `namespace`, and what fills them.
#[must_use]
pub fn caches(namespace: &str) -> (Caches, Writers) {
    let waiters = Arc::new(Waiters::default());
    let (pods, pod_writer) = reflector::store();
    let (shadows, shadow_writer) = reflector::store();
    let writers = Writers { pods: pod_writer, shadows: shadow_writer, waiters: waiters.clone() };
    let caches = Caches { namespace: namespace.to_owned(), pods, shadows, waiters, synced: Arc::default() };
    (caches, writers)
}

impl Caches {
    /// An agent's pod.
    #[must_use]
    pub fn agent_pod(&self, name: &str) -> Option<PodIdentity> {
        let key = ObjectRef::new(name).within(&self.namespace);
        self.pods.get(&key).map(|pod| PodIdentity::from(pod.as_ref()))
    }

    /// The nodes with an agent's pod that is Ready.
    #[must_use]
    pub fn ready_agents(&self) -> Vec<String> {
        let pods = self.pods.state();
        let ready = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none() && is_ready(pod));
        ready.filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect()
    }

    /// A node's shadow, unless there is none yet or it cannot be read.
    #[must_use]
    pub fn shadow(&self, node: &str) -> Option<BottlerocketShadow> {
        let key = ObjectRef::new(&shadow_name(node)).within(&self.namespace);
        self.shadows.get(&key).and_then(|shadow| shadow.0.as_ref().ok().cloned())
    }

    /// The nodes whose shadow asks for a disruption or for its end, and is under no policy.
    #[must_use]
    pub fn past_the_originals_approval(&self) -> Vec<String> {
        let shadows = self.shadows.state();
        let readable = shadows.iter().filter_map(|shadow| shadow.0.as_ref().ok());
        let past = readable.filter(|shadow| {
            let past = matches!(shadow.spec.state, State::RebootedIntoUpdate | State::MonitoringUpdate);
            past && shadow.spec.policy.is_none()
        });
        past.filter_map(|shadow| shadow.owner_references().iter().find(|owner| owner.kind == "Node"))
            .map(|owner| owner.name.clone())
            .collect()
    }

    /// Those who wait for a shadow to change.
    #[must_use]
    pub fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// Returns once both watches have brought a whole list.
    ///
    /// # Errors
    /// When a watch has ended.
    pub async fn synced(&self) -> anyhow::Result<()> {
        // Through a cell, because a store wakes only the last of those who wait for it.
        let both = async || -> anyhow::Result<()> {
            self.pods.wait_until_ready().await?;
            self.shadows.wait_until_ready().await?;
            Ok(())
        };
        self.synced.get_or_try_init(both).await.copied()
    }
}

impl Writers {
    /// Keeps the caches up to date until a stream ends, which those of [`pod_events`] and [`shadow_events`] do not.
    pub async fn follow(
        self,
        pods: impl Stream<Item = watcher::Result<Event<Pod>>> + Send,
        shadows: impl Stream<Item = watcher::Result<Event<Guarded>>> + Send,
    ) {
        let Self { pods: mut pod_writer, shadows: mut shadow_writer, waiters } = self;
        let pods = pods.for_each(|event| {
            match event {
                Ok(event) => pod_writer.apply_watcher_event(&event),
                Err(error) => tracing::warn!(%error, "watch of agents' pods failed"),
            }
            std::future::ready(())
        });
        let shadows = shadows.for_each(|event| {
            match event {
                Ok(event) => {
                    shadow_writer.apply_watcher_event(&event);
                    wake(&waiters, &event);
                }
                Err(error) => tracing::warn!(%error, "watch of shadows failed"),
            }
            std::future::ready(())
        });
        let (pods, shadows) = (pin!(pods), pin!(shadows));
        futures::future::select(pods, shadows).await;
    }
}

fn wake(waiters: &Waiters, event: &Event<Guarded>) {
    match event {
        Event::Apply(shadow) | Event::Delete(shadow) => {
            if let Err(error) = &shadow.0 {
                tracing::warn!(shadow = shadow.name_any(), %error, "shadow cannot be read");
            }
            waiters.wake(&shadow.name_any());
        }
        Event::InitDone => waiters.wake_all(),
        Event::Init | Event::InitApply(_) => {}
    }
}

/// The agents' pods, reduced to what identifies them.
pub fn pod_events(client: Client, namespace: &str) -> impl Stream<Item = watcher::Result<Event<Pod>>> + Send + use<> {
    let agents = watcher::Config::default().labels(&format!("{COMPONENT_LABEL}={AGENT_COMPONENT}"));
    watcher::watcher(Api::<Pod>::namespaced(client, namespace), agents).default_backoff().modify(reduce)
}

fn reduce(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        node_name: spec.node_name,
        service_account_name: spec.service_account_name,
        ..PodSpec::default()
    });
    let ready = is_ready(pod);
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        conditions: status.conditions.filter(|_| ready).map(|mut conditions| {
            conditions.retain(|condition| condition.type_ == "Ready");
            conditions
        }),
        ..PodStatus::default()
    });
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The shadows.
pub fn shadow_events(
    client: Client,
    namespace: &str,
) -> impl Stream<Item = watcher::Result<Event<Guarded>>> + Send + use<> {
    watcher::watcher(Api::<Guarded>::namespaced(client, namespace), watcher::Config::default())
        .default_backoff()
        .modify(|shadow| {
            if let Ok(shadow) = &mut shadow.0 {
                shadow.metadata.managed_fields = None;
            }
        })
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everybody_who_waits_for_the_first_lists_is_woken() {
        let (caches, writers) = caches("ns");
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let caches = caches.clone();
                tokio::spawn(async move { caches.synced().await })
            })
            .collect();
        tokio::task::yield_now().await;
        let lists = async {
            let pods = stream::iter([Ok(Event::Init), Ok(Event::InitDone)]).chain(stream::pending());
            let shadows = stream::iter([Ok(Event::Init), Ok(Event::InitDone)]).chain(stream::pending());
            writers.follow(pods, shadows).await;
        };
        tokio::spawn(lists);
        for one in waiting {
            tokio::time::timeout(std::time::Duration::from_secs(1), one).await.unwrap().unwrap().unwrap();
        }
    }
}
