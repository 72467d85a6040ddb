//! The cluster-wide part: who gets what there is a limited number of.
//!
//! First what exceeds a limit that was lowered is taken from those who are last in order, then places are given to those who are first.

mod excess;

use std::collections::BTreeMap;

use api::State;
use api::shadow::Desired;
use semver::Version;

use super::decision::{Candidate, Decision, Limited, Next};
use super::desired;
use super::hold::Hold;
use super::limits::Limits;
use super::node_view::NodeView;
use super::order::{in_order, rank};
use super::permission::{approval_expiry, pause_hold};
use super::rules::Rules;
use crate::action::Verb;
use crate::snapshot::PolicyFacts;

/// What would start if nothing but the pause were lifted, by policy: the nodes and their versions.
pub(super) type DryRun = BTreeMap<String, Vec<(String, Version)>>;

/// The decisions while places are given out.
struct Allocation<'v, 'a> {
    nodes: &'v [NodeView<'a>],
    rules: &'v Rules<'a>,
    limits: &'v mut Limits<'a>,
    /// By the position of the node.
    decisions: Vec<Decision<'a>>,
    dry_run: DryRun,
}

/// Gives out the places within `limits`. What gets none is held with its reason.
pub(super) fn allocate<'v, 'a>(
    nodes: &'v [NodeView<'a>],
    rules: &'v Rules<'a>,
    limits: &'v mut Limits<'a>,
    decisions: Vec<Decision<'a>>,
) -> (Vec<Decision<'a>>, DryRun) {
    let mut allocation = Allocation { nodes, rules, limits, decisions, dry_run: DryRun::new() };
    let accepted = || rules.snapshot.policies.values().filter(|policy| policy.accepted.is_ok());
    accepted().for_each(|policy| allocation.unschedule_excess(policy));
    accepted().for_each(|policy| allocation.withdraw_excess(policy));
    allocation.give(Limited::Approval);
    allocation.give(Limited::Start);
    (allocation.decisions, allocation.dry_run)
}

impl<'a> Allocation<'_, 'a> {
    /// Hands out what there is to the candidates, first in order first.
    fn give(&mut self, of: Limited) {
        let candidates = self.decisions.iter().enumerate().filter_map(|(at, decision)| match &decision.next {
            Next::Candidate(candidate) if candidate.of == of => {
                Some(rank(self.rules, &self.nodes[at], at, candidate.version))
            }
            _ => None,
        });
        for at in in_order(candidates) {
            let asked = std::mem::replace(&mut self.decisions[at], Decision::wait());
            self.decisions[at] = match asked.next {
                Next::Candidate(candidate) => {
                    Decision { next: Next::Wait, ..asked }.with(self.allocate_to(at, *candidate))
                }
                _ => asked,
            };
        }
    }

    fn allocate_to(&mut self, at: usize, candidate: Candidate<'a>) -> Decision<'a> {
        let node = &self.nodes[at];
        let Some(policy) = node.owner.policy() else { return candidate.otherwise };
        match candidate.of {
            Limited::Start => self.try_start(node, policy, candidate),
            Limited::Approval => self.try_approve(node, policy, candidate),
        }
    }

    /// A node under a paused policy takes the place that it would have, so that the dry run says what would start.
    fn try_start(&mut self, node: &NodeView<'a>, policy: &'a PolicyFacts, candidate: Candidate<'a>) -> Decision<'a> {
        let Candidate { version, otherwise, .. } = candidate;
        let full = self.limits.forbid_start(policy, node);
        if full.is_none() {
            self.limits.add_start(policy, node);
        }
        if let Some(paused) = pause_hold(policy) {
            if full.is_none() {
                let next = self.dry_run.entry(policy.name.clone()).or_default();
                next.push((node.name.to_owned(), version.clone()));
            }
            return held(paused, otherwise);
        }
        let (None, Some(shadow)) = (&full, node.readable) else {
            return full.map_or_else(Decision::wait, |full| held(full, otherwise));
        };
        let desired = Desired {
            state: State::StagedAndPerformedUpdate,
            since: Some(self.rules.now),
            version: Some(version.clone()),
            policy: Some(policy.name.clone()),
            ..desired::under(policy, Desired::default())
        };
        Decision::write(Verb::Start, shadow, desired)
    }

    fn try_approve(&mut self, node: &NodeView<'a>, policy: &'a PolicyFacts, candidate: Candidate<'a>) -> Decision<'a> {
        let Candidate { version, otherwise, .. } = candidate;
        if let Some(full) = self.limits.forbid_approval(policy, node) {
            return held(full, otherwise);
        }
        let Some(shadow) = node.readable else { return otherwise };
        self.limits.add_approval(policy, node);
        let desired = Desired {
            state: State::RebootedIntoUpdate,
            disrupt_not_after: approval_expiry(self.rules, policy, node, version),
            policy: Some(policy.name.clone()),
            ..desired::under(policy, desired::without_approval(shadow, self.rules.now))
        };
        Decision::write(Verb::Approve, shadow, desired)
    }
}

/// The decision without a place. If `otherwise` has a hold, that takes precedence over the limit's.
fn held<'a>(full: Hold, otherwise: Decision<'a>) -> Decision<'a> {
    Decision::hold(full).with(otherwise)
}
