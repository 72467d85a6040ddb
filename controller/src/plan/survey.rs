//! The one walk over the cluster that a plan makes. Nodes and shadows of a large one lie all over the memory: steps that went back to
//! each of them would take several times as long as everything they decide.

use super::{offers::Offers, situation::Situation};
use crate::snapshot::{NodeFacts, ShadowFacts, Snapshot};

/// What there is to plan for.
#[derive(Debug, Default)]
pub(super) struct Survey<'a> {
    /// Every node that is managed or still has something of an update about it, in the order of their names.
    pub(super) situations: Vec<Situation<'a>>,
    /// What they tell of versions.
    pub(super) offers: Offers<'a>,
    /// The shadows whose Node is gone, or was made again under the same name.
    pub(super) orphans: Vec<&'a ShadowFacts>,
}

impl<'a> Survey<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mut survey = Self { situations: Vec::with_capacity(snapshot.nodes.len()), ..Self::default() };
        for named in snapshot.by_name() {
            survey.orphans.extend(named.orphan);
            if let Some((node, shadow)) = named.node.filter(|(node, shadow)| concerns_us(node, *shadow)) {
                survey.situations.push(Situation::of(snapshot, node, shadow, &mut survey.offers));
            }
        }
        survey
    }
}

fn concerns_us(node: &NodeFacts, shadow: Option<&ShadowFacts>) -> bool {
    node.managed || node.has_record() || shadow.is_some()
}
