//! Everything that the rules read, parsed once: a whole cluster at one instant.
//!
//! Parts that cannot be parsed stay in the snapshot as such. A rule must say what becomes of them; dropping them here would
//! make a node look idle that may be in flight.

mod node;
mod parsed;
mod policy;
mod shadow;
mod watched_node;
mod watched_shadow;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::UpdatePolicy;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DeserializeGuard, Resource as _};

pub use node::{NodeFacts, NodeObject};
pub use parsed::Parsed;
pub use policy::PolicyFacts;
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

    /// The Node that `shadow` belongs to: the same name and, where the shadow can be read, the same uid.
    #[must_use]
    pub fn node_of(&self, shadow: &ShadowFacts) -> Option<&NodeFacts> {
        self.nodes.get(shadow.node_name()).filter(|node| shadow.belongs_to(node))
    }

    /// Every Node with its shadow, in the order of their names.
    pub fn nodes_and_shadows(&self) -> impl Iterator<Item = (&NodeFacts, Option<&ShadowFacts>)> {
        // Both are sorted: to look each shadow up by its name would take as long as the rest of a plan.
        let mut shadows = self.shadows.iter().peekable();
        self.nodes.iter().map(move |(name, node)| {
            let mut shadow = shadows.next_if(|(of, _)| *of <= name);
            while let Some(next) = shadows.next_if(|(of, _)| *of <= name) {
                shadow = Some(next);
            }
            let shadow = shadow.map(|(_, shadow)| shadow.as_ref());
            (node, shadow.filter(|shadow| shadow.belongs_to(node)))
        })
    }

    /// The shadows whose Node is gone, or was made again under the same name.
    pub fn orphans(&self) -> impl Iterator<Item = &ShadowFacts> {
        let mut nodes = self.nodes.iter().peekable();
        let shadows = self.shadows.iter().filter(move |(name, shadow)| {
            while nodes.next_if(|(of, _)| of < name).is_some() {}
            let node = nodes.next_if(|(of, _)| of == name);
            !node.is_some_and(|(_, node)| shadow.belongs_to(node))
        });
        shadows.map(|(_, shadow)| shadow.as_ref())
    }

    /// The shadow of `node`, unless it belongs to an earlier Node of that name.
    #[must_use]
    pub fn shadow_of(&self, node: &NodeFacts) -> Option<&ShadowFacts> {
        self.shadows.get(&node.name).map(AsRef::as_ref).filter(|shadow| shadow.belongs_to(node))
    }
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
pub(crate) fn identity(metadata: ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        resource_version: metadata.resource_version,
        ..ObjectMeta::default()
    }
}
