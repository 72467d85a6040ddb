//! The nodes that one limit of a policy is about.

use std::collections::BTreeSet;

use api::Policy;

use super::Broken;
use crate::snapshot::NodeFacts;

/// Nodes that one limit is about. What is counted of them is kept with them, so that one more costs the same however many there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Group<'a> {
    nodes: BTreeSet<&'a str>,
    /// With those that are down for another reason.
    pub(super) unavailable: BTreeSet<&'a str>,
    /// Their values of the policy's topology key; `None` is that of nodes without the label.
    values: BTreeSet<Option<&'a str>>,
}

impl<'a> Group<'a> {
    pub(super) fn add(&mut self, node: &'a NodeFacts, topology_key: Option<&str>) {
        self.nodes.insert(&node.name);
        self.unavailable.insert(&node.name);
        self.values.extend(topology_key.map(|key| node.labels.get(key).map(String::as_str)));
    }

    pub(super) fn stays_within(&self, policy: &Policy, owned: usize, too_many: Broken) -> Result<(), Broken> {
        let exceeds = |count: usize, most: Option<usize>| most.is_some_and(|most| count > most);
        if exceeds(self.nodes.len(), policy.max_concurrent_updates.of(owned)) {
            return Err(too_many);
        }
        if exceeds(self.unavailable.len(), policy.max_unavailable.and_then(|most| most.of(owned))) {
            return Err(Broken::Unavailable);
        }
        if self.values.len() > 1 { Err(Broken::Topology) } else { Ok(()) }
    }
}
