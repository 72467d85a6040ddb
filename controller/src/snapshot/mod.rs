//! Everything that the rules read, parsed once: a whole cluster at one instant.
//!
//! Parts that cannot be parsed stay in the snapshot as such. A rule must say what becomes of them; dropping them here would
//! make a node look idle that may be in flight.

mod node;
mod parsed;
mod policy;
mod progress;
mod shadow;
mod watched_node;
mod watched_shadow;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::UpdatePolicy;
use itertools::{EitherOrBoth, Itertools as _};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DeserializeGuard, Resource as _};

pub use node::{NodeFacts, NodeObject};
pub use parsed::Parsed;
pub use policy::{NotAccepted, PolicyFacts};
pub use progress::{Place, Progress, Step};
pub use shadow::{MayName, ShadowFacts};
pub use watched_node::WatchedNode;
pub use watched_shadow::WatchedShadow;

/// A whole cluster at one instant.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The instant. Rules take the time from here.
    pub now: Timestamp,
    /// Every Node, by name; also those that are not managed, since a shadow may still belong to one.
    pub nodes: BTreeMap<String, NodeFacts>,
    /// Every shadow, by the name of its Node.
    pub shadows: BTreeMap<String, Arc<ShadowFacts>>,
    /// Every policy, by name.
    pub policies: BTreeMap<String, PolicyFacts>,
    /// The Nodes that stand before the health gate or may come there, whole as far as it is kept, by name: what checks are asked of.
    pub gated: BTreeMap<String, Arc<serde_json::Value>>,
    /// The shadows, by their own names, that several writes in a row could not be stored to. They get no place that others could use.
    pub stuck: BTreeSet<String>,
    /// Where the work on it is.
    pub progress: Progress,
}

/// The objects that a snapshot is made of, as the watches hold them.
#[derive(Debug, Default)]
pub struct Objects<'a> {
    /// Nodes.
    pub nodes: Vec<&'a WatchedNode>,
    /// Shadows.
    pub shadows: Vec<&'a WatchedShadow>,
    /// Policies; those that do not even have the shape of one are errors.
    pub policies: Vec<&'a DeserializeGuard<UpdatePolicy>>,
    /// Names of the Nodes that have a Ready agent pod.
    pub agents_ready: BTreeSet<String>,
}

impl Snapshot {
    /// Parses `objects` as of `now`.
    #[must_use]
    pub fn build(now: Timestamp, objects: &Objects<'_>) -> Self {
        Parsed::default().snapshot(now, objects)
    }

    /// Every name of a Node or a shadow, in order.
    pub fn by_name(&self) -> impl Iterator<Item = Named<'_>> {
        // Both are sorted: to look each up would take as long as the rest of a plan.
        let pairs = self.nodes.iter().merge_join_by(&self.shadows, |(node, _), (shadow, _)| node.cmp(shadow));
        pairs.map(|pair| match pair {
            EitherOrBoth::Both((_, node), (_, shadow)) if shadow.belongs_to(node) => {
                Named { node: Some((node, Some(shadow))), orphan: None }
            }
            EitherOrBoth::Both((_, node), (_, shadow)) => Named { node: Some((node, None)), orphan: Some(shadow) },
            EitherOrBoth::Left((_, node)) => Named { node: Some((node, None)), orphan: None },
            EitherOrBoth::Right((_, shadow)) => Named { node: None, orphan: Some(shadow) },
        })
    }

    /// Every Node with its shadow, in the order of their names.
    pub fn nodes_and_shadows(&self) -> impl Iterator<Item = (&NodeFacts, Option<&ShadowFacts>)> {
        self.by_name().filter_map(|named| named.node)
    }
}

/// What there is under one name.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The Node, and its shadow.
    pub node: Option<(&'a NodeFacts, Option<&'a ShadowFacts>)>,
    /// A shadow whose Node is gone, or was made again under the same name.
    pub orphan: Option<&'a ShadowFacts>,
}

/// The name of an object that came from the API; empty never happens there.
fn name_of<K: kube::Resource>(object: &K) -> String {
    object.meta().name.clone().unwrap_or_default()
}

/// The name of a guarded object, whether or not it could be read.
fn guarded_name<K: kube::Resource>(guarded: &DeserializeGuard<K>) -> String {
    guarded.meta().name.clone().unwrap_or_default()
}

/// Of an object's metadata only which object it is, at which version.
pub(crate) fn identity(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shadow(name: &str, uid: &str) -> Value {
        let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid});
        let name = format!("brs-{name}");
        json!({
            "metadata": {"name": name, "uid": "uid", "resourceVersion": "1", "ownerReferences": [owner]},
            "spec": {"state": "Idle"},
        })
    }

    #[test]
    fn every_name_is_met_once_and_a_shadow_of_an_earlier_node_is_an_orphan() {
        let node = |name| json!({"metadata": {"name": name, "uid": format!("uid-{name}")}});
        let nodes: [WatchedNode; 3] = ["a", "b", "d"].map(|name| serde_json::from_value(node(name)).unwrap());
        let shadows = [shadow("b", "uid-b"), shadow("c", "uid-c"), shadow("d", "another"), shadow("e", "uid-e")];
        let shadows: [WatchedShadow; 4] = shadows.map(|shadow| serde_json::from_value(shadow).unwrap());
        let objects =
            Objects { nodes: nodes.iter().collect(), shadows: shadows.iter().collect(), ..Objects::default() };
        let snapshot = Snapshot::build(Timestamp::UNIX_EPOCH, &objects);
        let met = |named: Named<'_>| {
            let node =
                named.node.map(|(node, shadow)| format!("{}{}", node.name, if shadow.is_some() { "+" } else { "" }));
            let orphan = named.orphan.map(|shadow| format!("-{}", shadow.node_name()));
            [node, orphan].into_iter().flatten().collect::<String>()
        };
        let all: Vec<_> = snapshot.by_name().map(met).collect();
        assert_eq!(all, ["a", "b+", "-c", "d-d", "-e"]);
        assert_eq!(snapshot.nodes_and_shadows().count(), 3);
    }
}
