//! Nodes of only one value of a label are in flight at a time (`topologyKey`).
//!
//! A node without the label has a value of its own: it is never in flight together with one that has it.

use std::collections::BTreeMap;

use api::HoldReason;

use super::hold::Hold;
use crate::snapshot::{NodeFacts, PolicyFacts};

/// How many nodes of each value are in flight, and how many are disrupted.
#[derive(Debug, Default)]
pub(super) struct Topology<'a> {
    in_flight: BTreeMap<Option<&'a str>, usize>,
    disrupted: BTreeMap<Option<&'a str>, usize>,
}

/// The node's value of the policy's label: `None` without a `topologyKey`.
pub(super) fn value<'a>(policy: &PolicyFacts, node: &'a NodeFacts) -> Option<Option<&'a str>> {
    let key = policy.accepted.as_ref().ok()?.topology_key.as_ref()?;
    Some(node.labels.get(key).map(String::as_str))
}

/// Whether the policy has a `topologyKey`.
pub(super) fn is_limited(policy: &PolicyFacts) -> bool {
    policy.accepted.as_ref().is_ok_and(|accepted| accepted.topology_key.is_some())
}

impl<'a> Topology<'a> {
    pub(super) fn add_in_flight(&mut self, policy: &PolicyFacts, node: &'a NodeFacts) {
        if let Some(value) = value(policy, node) {
            *self.in_flight.entry(value).or_default() += 1;
        }
    }

    pub(super) fn add_disrupted(&mut self, policy: &PolicyFacts, node: &'a NodeFacts) {
        if let Some(value) = value(policy, node) {
            *self.disrupted.entry(value).or_default() += 1;
        }
    }

    /// Why the node may not start now.
    pub(super) fn forbid_start(&self, policy: &PolicyFacts, node: &NodeFacts) -> Option<Hold> {
        forbid(&self.in_flight, policy, node, "in flight")
    }

    /// Why the node may not get the approval now.
    pub(super) fn forbid_approval(&self, policy: &PolicyFacts, node: &NodeFacts) -> Option<Hold> {
        forbid(&self.disrupted, policy, node, "disrupted")
    }
}

fn forbid(out: &BTreeMap<Option<&str>, usize>, policy: &PolicyFacts, node: &NodeFacts, are: &str) -> Option<Hold> {
    let own = value(policy, node)?;
    let other = out.keys().find(|value| **value != own)?;
    let key = policy.accepted.as_ref().ok()?.topology_key.as_deref().unwrap_or_default();
    let message = match other {
        Some(other) => format!("nodes with {key}={other} are {are}"),
        None => format!("nodes without the label {key} are {are}"),
    };
    Some(Hold::new(HoldReason::TopologyBusy, message))
}
