//! One node as the steps see it: the facts, and what follows from them alone.

use api::{Shadow, shadow::Report};
use semver::Version;

use super::{
    in_flight::in_flight,
    ownership::{Owner, owner},
    phase::{Phase, phase},
};
use crate::snapshot::{NodeFacts, PolicyFacts, ShadowFacts, Snapshot};

/// One node as the steps see it.
#[derive(Debug)]
pub(super) struct Situation<'a> {
    /// The Node.
    pub(super) node: &'a NodeFacts,
    /// Its shadow.
    pub(super) shadow: Option<&'a ShadowFacts>,
    /// Whose it is.
    pub(super) owner: Owner<'a>,
    /// The policy that its order names, if it still exists.
    began_under: Option<&'a PolicyFacts>,
    /// How far its update is.
    pub(super) phase: Phase,
    /// Whether it counts for the limits.
    pub(super) in_flight: bool,
}

impl<'a> Situation<'a> {
    /// Every node that is managed or still has something of an update about it.
    pub(super) fn all(snapshot: &'a Snapshot) -> Vec<Self> {
        let nodes = snapshot.nodes.values();
        nodes.filter(|node| concerns_us(snapshot, node)).map(|node| Self::of(snapshot, node)).collect()
    }

    fn of(snapshot: &'a Snapshot, node: &'a NodeFacts) -> Self {
        let shadow = snapshot.shadow_of(node);
        Self {
            node,
            shadow,
            owner: owner(&snapshot.policies, node),
            began_under: began_under(snapshot, shadow),
            phase: phase(node, shadow),
            in_flight: in_flight(node, shadow, snapshot.now),
        }
    }

    /// The shadow, if there is one that can be read.
    pub(super) fn readable(&self) -> Option<&'a Shadow> {
        self.shadow.and_then(ShadowFacts::readable)
    }

    /// What the agent reported.
    pub(super) fn report(&self) -> Option<&'a Report> {
        self.readable().and_then(|shadow| shadow.report.as_ref())
    }

    /// Whether an agent of the original operator serves the node: it has reported and told no version of its own.
    pub(super) fn has_original_agent(&self) -> bool {
        self.report().is_some_and(|report| report.agent_version.is_none())
    }

    /// The version the node is asked to run.
    pub(super) fn ordered_version(&self) -> Option<&'a Version> {
        self.readable().and_then(|shadow| shadow.order.version.as_ref())
    }

    /// The policies whose limits the node counts for while it is in flight: the one it began under and the one that applies
    /// to it now.
    pub(super) fn counts_for(&self) -> impl Iterator<Item = &'a PolicyFacts> + use<'a> {
        let now = self.owner.policy();
        let began = self.began_under.filter(|began| now.is_none_or(|now| now.name != began.name));
        now.into_iter().chain(began)
    }
}

/// The policy that the node's order names, if it still exists.
fn began_under<'a>(snapshot: &'a Snapshot, shadow: Option<&ShadowFacts>) -> Option<&'a PolicyFacts> {
    snapshot.policies.get(shadow.and_then(ShadowFacts::readable)?.order.policy.as_ref()?)
}

fn concerns_us(snapshot: &Snapshot, node: &NodeFacts) -> bool {
    node.managed || node.is_marked() || snapshot.shadow_of(node).is_some()
}
