//! The Nodes that carry a disruption record, from a watch of all Nodes' metadata.
//!
//! Annotations cannot be selected by, so the choice is between listing every Node again and again and watching them. A watch
//! costs one list at the start and then what changes: a kubelet writes its Node every five minutes, some 17 events of a few
//! kilobytes each second for 5,000 nodes, where a list each minute would be twenty times that. Nothing is kept of a Node
//! without a record.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::names::DISRUPTION_RECORD_ANNOTATION;
use api::shadow::NodeRef;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Node;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};

use crate::node::{RecordedNode, is_managed};

/// The Nodes with a record, by name.
#[derive(Debug, Default)]
pub struct RecordedNodes(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    present: BTreeMap<String, RecordedNode>,
    /// A list that is on its way.
    coming: BTreeMap<String, RecordedNode>,
}

impl RecordedNodes {
    /// Those there are.
    #[must_use]
    pub fn nodes(&self) -> Vec<RecordedNode> {
        self.lists().present.values().cloned().collect()
    }

    /// Keeps the list up to date until the stream ends, which that of [`node_events`] does not.
    pub async fn follow(&self, events: impl Stream<Item = watcher::Result<Event<PartialObjectMeta<Node>>>> + Send) {
        let mut events = pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.lists().apply(&event),
                Err(error) => tracing::warn!(%error, "watch of nodes failed"),
            }
        }
    }

    /// Held for plain map operations only, so a poisoned lock is as good as any.
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn apply(&mut self, event: &Event<PartialObjectMeta<Node>>) {
        match event {
            Event::Init => self.coming.clear(),
            Event::InitApply(node) => set(&mut self.coming, node),
            Event::InitDone => self.present = std::mem::take(&mut self.coming),
            Event::Apply(node) => set(&mut self.present, node),
            Event::Delete(node) => {
                self.present.remove(&node.name_any());
            }
        }
    }
}

fn set(nodes: &mut BTreeMap<String, RecordedNode>, node: &PartialObjectMeta<Node>) {
    let name = node.name_any();
    if node.annotations().contains_key(DISRUPTION_RECORD_ANNOTATION) {
        let id = NodeRef { uid: node.uid().unwrap_or_default(), name: name.clone() };
        nodes.insert(name, RecordedNode { id, managed: is_managed(node.labels()) });
    } else {
        nodes.remove(&name);
    }
}

/// What happens to the Nodes' metadata.
pub fn node_events(
    client: Client,
) -> impl Stream<Item = watcher::Result<Event<PartialObjectMeta<Node>>>> + Send + use<> {
    watcher::watcher(Api::<PartialObjectMeta<Node>>::all(client), watcher::Config::default()).default_backoff()
}

#[cfg(test)]
mod tests {
    use api::names::{UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION};
    use serde_json::json;

    use super::*;

    fn node(name: &str, recorded: bool) -> PartialObjectMeta<Node> {
        let annotations = if recorded { json!({ DISRUPTION_RECORD_ANNOTATION: "{}" }) } else { json!({}) };
        let labels = json!({ UPDATER_INTERFACE_LABEL: UPDATER_INTERFACE_VERSION });
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": format!("uid-{name}"), "annotations": annotations, "labels": labels},
        }))
        .unwrap()
    }

    async fn after(events: Vec<Event<PartialObjectMeta<Node>>>) -> Vec<String> {
        let recorded = RecordedNodes::default();
        recorded.follow(futures::stream::iter(events.into_iter().map(Ok))).await;
        recorded.nodes().into_iter().map(|node| node.id.name).collect()
    }

    #[tokio::test]
    async fn only_nodes_with_a_record_are_kept() {
        let list = vec![Event::Init, Event::InitApply(node("a", true)), Event::InitApply(node("b", false))];
        assert!(after(list.clone()).await.is_empty(), "a list counts when it is whole");
        let whole = [list, vec![Event::InitDone]].concat();
        assert_eq!(after(whole.clone()).await, ["a"]);
        let changed =
            vec![Event::Apply(node("a", false)), Event::Apply(node("b", true)), Event::Apply(node("c", true))];
        let changed = [whole, changed].concat();
        assert_eq!(after(changed.clone()).await, ["b", "c"]);
        assert_eq!(after([changed.clone(), vec![Event::Delete(node("b", true))]].concat()).await, ["c"]);
        let anew = vec![Event::Init, Event::InitApply(node("d", true)), Event::InitDone];
        assert_eq!(after([changed, anew].concat()).await, ["d"]);
    }
}
