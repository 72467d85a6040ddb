//! What exceeds a limit that was lowered, or a `topologyKey` that was set, in the middle of a rollout. Only places that nothing has been
//! done with are taken back.

use std::collections::BTreeSet;

use api::{HoldReason, State};

use super::Allocation;
use crate::action::{Action, Verb};
use crate::plan::decide::{unscheduled, withdraw};
use crate::plan::hold::Hold;
use crate::plan::limits::has_approval_or_record;
use crate::plan::order::{in_order, rank};
use crate::plan::phase::Phase;
use crate::plan::topology;
use crate::snapshot::PolicyFacts;

impl<'a> Allocation<'_, 'a> {
    /// Unschedules nodes that have no approval. First go those of another topology value than the nodes that must stay;
    /// if every node may go, the first in order sets the value. Then, while the policy is over its limit, the last in
    /// order goes.
    pub(super) fn unschedule_excess(&mut self, policy: &PolicyFacts) {
        if topology::is_limited(policy) {
            let unapproved = self.unapproved(policy);
            let others = self.of_other_topologies(policy, &unapproved, &self.in_flight(policy));
            others.into_iter().for_each(|at| self.unschedule(at));
        }
        let Some(most) = self.limits.most_in_flight(policy) else { return };
        if self.limits.in_flight(policy) <= most {
            return;
        }
        // Nodes that return to Idle already are not counted. Otherwise each plan would unschedule more of them until
        // the first have reported.
        let excess = self.in_flight(policy).len().saturating_sub(most);
        for at in self.unapproved(policy).into_iter().rev().take(excess) {
            self.unschedule(at);
        }
    }

    /// Withdraws unused approvals. First go those outside the topology value that is being disrupted; if nothing is
    /// disrupted, the first in order sets the value. Then, while too many nodes have an approval or a record, the last
    /// in order goes.
    pub(super) fn withdraw_excess(&mut self, policy: &PolicyFacts) {
        if topology::is_limited(policy) {
            let unused = self.unused(policy);
            for at in self.of_other_topologies(policy, &unused, &self.disrupted(policy)) {
                let message = format!("policy {} disrupts other topology values first", policy.name);
                self.withdraw(at, Hold::new(HoldReason::TopologyBusy, message));
            }
        }
        let Some(most) = self.limits.most_in_flight(policy) else { return };
        if self.limits.disrupted(policy) <= most {
            return;
        }
        let excess = self.disrupted(policy).len().saturating_sub(most);
        for at in self.unused(policy).into_iter().rev().take(excess) {
            let message = format!("policy {} allows no further disruption now", policy.name);
            self.withdraw(at, Hold::new(HoldReason::BudgetFull, message));
        }
    }

    /// Those of `yielding`, which are in order, that have another topology value than what stays of `all`.
    fn of_other_topologies(&self, policy: &PolicyFacts, yielding: &[usize], all: &[usize]) -> Vec<usize> {
        let value = |at: &usize| topology::value(policy, self.nodes[*at].node);
        let stays = |at: &&usize| !yielding.contains(at);
        let mut kept: BTreeSet<_> = all.iter().filter(stays).filter_map(value).collect();
        if kept.is_empty() {
            kept.extend(yielding.first().and_then(value));
        }
        yielding.iter().filter(|at| value(at).is_some_and(|value| !kept.contains(&value))).copied().collect()
    }

    /// The nodes in flight for the policy that have no approval and could give up their place, first in order first. An original agent
    /// activates while it stages: its node keeps its place.
    fn unapproved(&self, policy: &PolicyFacts) -> Vec<usize> {
        self.ranked(policy, |at| {
            let node = &self.nodes[at];
            matches!(node.phase, Phase::Staging | Phase::Staged) && !node.has_original_agent
        })
    }

    /// The policy's nodes whose approval is not used yet, first in order first.
    fn unused(&self, policy: &PolicyFacts) -> Vec<usize> {
        self.ranked(policy, |at| self.nodes[at].phase == Phase::Approved)
    }

    /// Those of the policy's nodes that keep what they have, by this plan, first in order first.
    fn ranked(&self, policy: &PolicyFacts, belongs: impl Fn(usize) -> bool) -> Vec<usize> {
        let all = self.nodes.iter().enumerate().filter(|(at, _)| belongs(*at) && self.decisions[*at].keeps_update());
        let counted = all.filter(|(_, node)| node.counts_for_policy(policy));
        in_order(counted.filter_map(|(at, node)| Some(rank(self.rules, node, at, node.desired_version()?))))
    }

    /// The nodes in flight that count for the policy and are not on their way back to Idle.
    fn in_flight(&self, policy: &PolicyFacts) -> Vec<usize> {
        let returns = |at: usize| {
            let idle = |action: &Action| action.desired.state == State::Idle && action.verb != Verb::Clear;
            self.nodes[at].phase == Phase::Returning || self.decisions[at].action().is_some_and(idle)
        };
        let all = self.nodes.iter().enumerate().filter(|(at, node)| node.in_flight && !returns(*at));
        all.filter(|(_, node)| node.counts_for_policy(policy)).map(|(at, _)| at).collect()
    }

    /// The policy's nodes that have an approval or a record, without the approvals that this plan withdraws. A node
    /// with the record of an earlier approval stays disrupted, even if its present approval is withdrawn.
    fn disrupted(&self, policy: &PolicyFacts) -> Vec<usize> {
        let withdrawn = |at: usize| {
            let node = &self.nodes[at];
            node.phase == Phase::Approved && !node.has_record && !self.decisions[at].keeps_update()
        };
        let all = self.nodes.iter().enumerate();
        all.filter(|(at, node)| has_approval_or_record(node) && !withdrawn(*at))
            .filter(|(_, node)| node.counts_for_policy(policy))
            .map(|(at, _)| at)
            .collect()
    }

    fn unschedule(&mut self, at: usize) {
        if let Some(shadow) = self.nodes[at].readable {
            self.decisions[at] = unscheduled(&self.nodes[at], shadow, self.rules);
        }
    }

    fn withdraw(&mut self, at: usize, hold: Hold) {
        if let Some(shadow) = self.nodes[at].readable {
            self.decisions[at] = withdraw(shadow, self.rules, hold);
        }
    }
}
