//! Which controllers there were, while one operator takes the place of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use api::names;
use e2e::controlplane::ControlPlane;
use e2e::controlplane::wait::eventually;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use tokio_util::task::AbortOnDropHandle;

use crate::takeover::PATIENCE;

/// Whose a controller is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Original,
    Ours,
}

#[derive(Default)]
struct Seen {
    now: BTreeMap<String, Kind>,
    beside: bool,
}

/// The pods of controllers, of either operator, as they come and go.
pub(crate) struct Controllers {
    seen: Arc<Mutex<Seen>>,
    _task: AbortOnDropHandle<()>,
}

impl Controllers {
    pub(crate) fn watch(plane: &ControlPlane) -> Self {
        let pods: Api<Pod> = Api::namespaced(plane.client(), names::DEFAULT_NAMESPACE);
        let config = watcher::Config::default().labels("brupop.bottlerocket.aws/component=brupop-controller");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        // Broken, it begins anew with all there are.
        let watch = watcher::watcher(pods, config).default_backoff().for_each(move |event| {
            event.into_iter().for_each(|event| shared.lock().unwrap().see(event));
            std::future::ready(())
        });
        Self { seen, _task: AbortOnDropHandle::new(tokio::spawn(watch)) }
    }

    /// Waits until there are some, and all are of this kind.
    pub(crate) async fn are(&self, kind: Kind) {
        let are = async || {
            let now: BTreeSet<_> = self.seen.lock().unwrap().now.values().copied().collect();
            Ok((now == BTreeSet::from([kind])).then_some(()))
        };
        eventually(&format!("controllers to be {kind:?}"), PATIENCE, are).await.unwrap();
    }

    pub(crate) fn were_beside_each_other(&self) -> bool {
        self.seen.lock().unwrap().beside
    }
}

impl Seen {
    fn see(&mut self, event: Event<Pod>) {
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => {
                let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone());
                let originals = image.is_some_and(|image| image.starts_with("original.example/"));
                self.now.insert(pod.name_any(), if originals { Kind::Original } else { Kind::Ours });
            }
            Event::Delete(pod) => drop(self.now.remove(&pod.name_any())),
            Event::Init => self.now.clear(),
            Event::InitDone => {}
        }
        self.beside |= self.now.values().copied().collect::<BTreeSet<_>>().len() > 1;
    }
}
