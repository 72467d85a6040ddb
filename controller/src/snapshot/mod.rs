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

    /// Every Node with its shadow, in the order of their names; that of an earlier Node of the same name is none.
    pub fn nodes_and_shadows(&self) -> impl Iterator<Item = (&NodeFacts, Option<&ShadowFacts>)> {
        side_by_side(&self.nodes, &self.shadows)
            .map(|(node, shadow)| (node, shadow.map(AsRef::as_ref).filter(|shadow| shadow.belongs_to(node))))
    }

    /// The shadows whose Node is gone, or was made again under the same name.
    pub fn orphans(&self) -> impl Iterator<Item = &ShadowFacts> {
        let orphans = side_by_side(&self.shadows, &self.nodes)
            .filter(|(shadow, node)| !node.is_some_and(|node| shadow.belongs_to(node)));
        orphans.map(|(shadow, _)| shadow.as_ref())
    }
}

/// Everything on the one side, with what has the same key on the other. Both are sorted: to look each up would take as long as the
/// rest of a plan.
fn side_by_side<'a, A, B>(
    one: &'a BTreeMap<String, A>,
    other: &'a BTreeMap<String, B>,
) -> impl Iterator<Item = (&'a A, Option<&'a B>)> {
    let mut other = other.iter().peekable();
    one.iter().map(move |(key, here)| {
        while other.next_if(|(at, _)| *at < key).is_some() {}
        (here, other.next_if(|(at, _)| *at == key).map(|(_, there)| there))
    })
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
