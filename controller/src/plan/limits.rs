//! How many of a policy's nodes may be in flight, unavailable and disrupted, and of which topology.

use std::collections::BTreeMap;

use api::{HoldReason, State};

use super::hold::Hold;
use super::node_view::NodeView;
use super::phase::Phase;
use super::topology::Topology;
use super::unavailable;
use crate::snapshot::PolicyFacts;

/// What one policy has out.
#[derive(Debug, Default)]
struct Out<'a> {
    /// Nodes it applies to: what percentages are of.
    matched: usize,
    in_flight: usize,
    /// Have an approval or a record, or are on their way back to Idle.
    disrupted: usize,
    /// In flight, or unavailable for another reason.
    unavailable: usize,
    /// Disrupted, or unavailable for another reason than being in flight.
    down: usize,
    topology: Topology<'a>,
}

/// The counts that limits are held against, kept while places are given out. A place that a write frees is not counted as free
/// before the cluster shows it.
#[derive(Debug, Default)]
pub(super) struct Limits<'a>(BTreeMap<&'a str, Out<'a>>);

impl<'a> Limits<'a> {
    pub(super) fn count(nodes: &[NodeView<'a>]) -> Self {
        let mut counts = Self::default();
        for node in nodes {
            if let Some(policy) = node.owner.policy() {
                counts.of_mut(&policy.name).matched += 1;
            }
            let disrupted = is_disrupted(node);
            let down = unavailable::is_down(node);
            for policy in node.counts_for() {
                let out = counts.of_mut(&policy.name);
                out.unavailable += usize::from(node.in_flight || down);
                out.down += usize::from(disrupted || down);
                if node.in_flight {
                    out.in_flight += 1;
                    out.topology.add_in_flight(policy, node.node);
                }
                if disrupted {
                    out.disrupted += 1;
                    out.topology.add_disrupted(policy, node.node);
                }
            }
        }
        counts
    }

    /// The policy's limit in nodes; `None` is no limit. A policy that is not accepted allows nothing.
    pub(super) fn limit(&self, policy: &PolicyFacts) -> Option<usize> {
        let accepted = policy.accepted.as_ref();
        accepted.map_or(Some(0), |accepted| accepted.max_concurrent_updates.of(self.matched(policy)))
    }

    /// How many of the policy's nodes may be unavailable; `None` is no limit.
    pub(super) fn unavailable_limit(&self, policy: &PolicyFacts) -> Option<usize> {
        policy.accepted.as_ref().ok()?.max_unavailable?.of(self.matched(policy))
    }

    /// Why the node may not start now, as far as counts go; the first reason that applies.
    pub(super) fn forbid_start(&self, policy: &PolicyFacts, node: &NodeView<'a>) -> Option<Hold> {
        let name = &policy.name;
        let (in_flight, unavailable) = self.of(policy).map_or((0, 0), |out| (out.in_flight, out.unavailable));
        if self.limit(policy).is_some_and(|limit| in_flight >= limit) {
            let message = format!("policy {name} allows no more nodes in flight");
            return Some(Hold::new(HoldReason::BudgetFull, message));
        }
        let with_this = unavailable + usize::from(!unavailable::is_down(node));
        if self.unavailable_limit(policy).is_some_and(|limit| with_this > limit) {
            let message = format!("policy {name} allows no more unavailable nodes");
            return Some(Hold::new(HoldReason::TooManyUnavailable, message));
        }
        self.of(policy).and_then(|out| out.topology.forbid_start(policy, node.node))
    }

    /// Why the node may not get the approval now, as far as counts go; the first reason that applies.
    pub(super) fn forbid_approval(&self, policy: &PolicyFacts, node: &NodeView<'a>) -> Option<Hold> {
        let name = &policy.name;
        let (disrupted, down) = self.of(policy).map_or((0, 0), |out| (out.disrupted, out.down));
        // A node that is out for an earlier failure counts already.
        let is_out = is_disrupted(node);
        let disrupted = disrupted - usize::from(is_out && disrupted > 0);
        if self.limit(policy).is_some_and(|limit| disrupted >= limit) {
            let message = format!("policy {name} allows no further disruption now");
            return Some(Hold::new(HoldReason::BudgetFull, message));
        }
        let with_this = down + usize::from(!unavailable::is_down(node) && !is_out);
        if self.unavailable_limit(policy).is_some_and(|limit| with_this > limit) {
            let message = format!("policy {name} allows no more unavailable nodes");
            return Some(Hold::new(HoldReason::TooManyUnavailable, message));
        }
        self.of(policy).and_then(|out| out.topology.forbid_approval(policy, node.node))
    }

    /// The most nodes that may be in flight, whatever limits them; `None` is no limit. Nodes that are unavailable without the
    /// operator's doing keep others from starting, but make none give up its place: they may come back at any moment.
    pub(super) fn most_in_flight(&self, policy: &PolicyFacts) -> Option<usize> {
        [self.limit(policy), self.unavailable_limit(policy)].into_iter().flatten().min()
    }

    /// The node starts under the policy.
    pub(super) fn add_start(&mut self, policy: &'a PolicyFacts, node: &NodeView<'a>) {
        let out = self.of_mut(&policy.name);
        out.in_flight += 1;
        out.unavailable += usize::from(!unavailable::is_down(node));
        out.topology.add_in_flight(policy, node.node);
    }

    /// The node gets the approval under the policy.
    pub(super) fn add_approval(&mut self, policy: &'a PolicyFacts, node: &NodeView<'a>) {
        let out = self.of_mut(&policy.name);
        if is_disrupted(node) {
            return;
        }
        out.disrupted += 1;
        out.down += usize::from(!unavailable::is_down(node));
        out.topology.add_disrupted(policy, node.node);
    }

    /// How many nodes are in flight that count for the policy.
    pub(super) fn in_flight(&self, policy: &PolicyFacts) -> usize {
        self.of(policy).map_or(0, |out| out.in_flight)
    }

    /// How many of the policy's nodes are disrupted, or on their way back to Idle.
    pub(super) fn disrupted(&self, policy: &PolicyFacts) -> usize {
        self.of(policy).map_or(0, |out| out.disrupted)
    }

    /// How many nodes the policy applies to.
    pub(super) fn matched(&self, policy: &PolicyFacts) -> usize {
        self.of(policy).map_or(0, |out| out.matched)
    }

    fn of(&self, policy: &PolicyFacts) -> Option<&Out<'a>> {
        self.0.get(policy.name.as_str())
    }

    fn of_mut(&mut self, policy: &'a str) -> &mut Out<'a> {
        self.0.entry(policy).or_default()
    }
}

fn is_disrupted(node: &NodeView<'_>) -> bool {
    has_approval_or_record(node) || is_returning(node)
}

/// Whether the node has an approval, used or not, or the record of one, and is not out for a failure. A shadow that cannot be read may have one.
pub(super) fn has_approval_or_record(node: &NodeView<'_>) -> bool {
    let asked = node.desired_state == Some(State::RebootedIntoUpdate);
    !node.has_failed && (asked || node.has_record || node.phase == Phase::Unreadable)
}

/// Whether the node was asked to go back to Idle and has not said that it did. It may still be cordoned under a record that no watch
/// has shown yet: its place is free for another disruption only when it reports Idle.
fn is_returning(node: &NodeView<'_>) -> bool {
    let asked = node.desired_state == Some(State::Idle);
    let reports = node.observed_state.is_some_and(|state| state != State::Idle);
    node.in_flight && asked && reports
}
