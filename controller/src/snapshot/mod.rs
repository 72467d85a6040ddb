//! Everything that the rules read, parsed once: a whole cluster at one instant.
//!
//! Parts that cannot be parsed stay in the snapshot as such. A rule must say what becomes of them; dropping them here would
//! make a node look idle that may be in flight.

mod node;
mod parsed;
mod policy;
mod shadow;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{BottlerocketShadow, UpdatePolicy};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::core::{DeserializeGuard, Resource as _};

pub use node::{NodeFacts, says_the_same, strip};
pub use parsed::Parsed;
pub use policy::PolicyFacts;
pub use shadow::{MayName, ShadowFacts};

/// A whole cluster at one instant.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The instant. Rules take the time from here.
    pub now: Timestamp,
    /// Every Node, by name; also those that are not managed, since a shadow may still belong to one.
    pub nodes: BTreeMap<String, Arc<NodeFacts>>,
    /// Every shadow, by the name of its Node.
    pub shadows: BTreeMap<String, Arc<ShadowFacts>>,
    /// Every policy, by name.
    pub policies: BTreeMap<String, PolicyFacts>,
    /// The Nodes that stand before the health gate or may come there, whole as far as it is kept, by name: what checks are asked of.
    pub gated: BTreeMap<String, Arc<serde_json::Value>>,
}

/// The raw objects that a snapshot is made of, as the watches hold them.
#[derive(Debug, Default)]
pub struct Objects<'a> {
    /// Nodes.
    pub nodes: Vec<&'a Node>,
    /// Shadows; those that do not even have the shape of one are errors.
    pub shadows: Vec<&'a DeserializeGuard<BottlerocketShadow>>,
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
        let node = self.nodes.get(shadow.node_name()).map(AsRef::as_ref)?;
        match shadow {
            ShadowFacts::Readable(shadow) if shadow.node.uid != node.uid => None,
            _ => Some(node),
        }
    }

    /// The shadow of `node`, unless it belongs to an earlier Node of that name.
    #[must_use]
    pub fn shadow_of(&self, node: &NodeFacts) -> Option<&ShadowFacts> {
        let shadow = self.shadows.get(&node.name).map(AsRef::as_ref)?;
        self.node_of(shadow).map(|_| shadow)
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
