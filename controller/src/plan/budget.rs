//! How many of a policy's nodes may be in flight, and how many may be disrupted.

use std::collections::BTreeMap;

use api::State;

use super::{phase::Phase, situation::Situation};
use crate::snapshot::PolicyFacts;

/// The counts that limits are held against, kept while a plan is drafted. A slot that a step frees is not counted as free
/// before the cluster shows it.
#[derive(Debug, Default)]
pub(super) struct Budgets<'a> {
    matched: BTreeMap<&'a str, usize>,
    in_flight: BTreeMap<&'a str, usize>,
    disrupted: BTreeMap<&'a str, usize>,
}

impl<'a> Budgets<'a> {
    pub(super) fn count(situations: &[Situation<'a>]) -> Self {
        let mut counts = Self::default();
        for situation in situations {
            if let Some(policy) = situation.owner.policy() {
                *counts.matched.entry(&policy.name).or_default() += 1;
            }
            if situation.in_flight {
                situation.counts_for().for_each(|policy| counts.add_in_flight(policy));
            }
            if has_go_or_marks(situation) {
                situation.counts_for().for_each(|policy| counts.add_disrupted(policy));
            }
        }
        counts
    }

    /// The policy's limit in nodes; `None` is no limit. A policy that is not accepted allows nothing.
    pub(super) fn limit(&self, policy: &PolicyFacts) -> Option<usize> {
        let matched = self.matched.get(policy.name.as_str()).copied().unwrap_or_default();
        policy.accepted.as_ref().map_or(Some(0), |accepted| accepted.max_concurrent_updates.of(matched))
    }

    /// Whether one more node may start.
    pub(super) fn has_room_in_flight(&self, policy: &PolicyFacts) -> bool {
        self.limit(policy).is_none_or(|limit| self.in_flight(policy) < limit)
    }

    /// Whether one more node may get the go.
    pub(super) fn has_room_for_a_go(&self, policy: &PolicyFacts) -> bool {
        let disrupted = self.disrupted.get(policy.name.as_str()).copied().unwrap_or_default();
        self.limit(policy).is_none_or(|limit| disrupted < limit)
    }

    /// By how many nodes the policy is over a limit that was lowered.
    pub(super) fn excess(&self, policy: &PolicyFacts) -> usize {
        self.limit(policy).map_or(0, |limit| self.in_flight(policy).saturating_sub(limit))
    }

    pub(super) fn add_in_flight(&mut self, policy: &'a str) {
        *self.in_flight.entry(policy).or_default() += 1;
    }

    pub(super) fn add_disrupted(&mut self, policy: &'a str) {
        *self.disrupted.entry(policy).or_default() += 1;
    }

    fn in_flight(&self, policy: &PolicyFacts) -> usize {
        self.in_flight.get(policy.name.as_str()).copied().unwrap_or_default()
    }
}

/// Whether the node has a go, used or not, or the marks of one. A shadow that cannot be read may have one.
fn has_go_or_marks(situation: &Situation<'_>) -> bool {
    let asked = situation.readable().is_some_and(|shadow| shadow.order.state == State::RebootedIntoUpdate);
    asked || situation.node.is_marked() || situation.phase == Phase::Unreadable
}
