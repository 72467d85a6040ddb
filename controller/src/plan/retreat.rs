//! Nodes that have begun and are not disrupted yet go back to Idle when they may no longer be updated, so that they hold no
//! place that another node could use.

use std::collections::BTreeSet;

use api::shadow::Desired;

use super::{
    advance::{back_to_idle, put_back},
    deadline::deadline,
    draft::Draft,
    eligible,
    order::{in_order, rank},
    phase::Phase,
    releases::may_take,
    topology,
};
use crate::{action::Verb, snapshot::PolicyFacts};

/// Returns nodes that became ineligible, changed their policy or their version, or exceed a limit lowered since. An original
/// agent activates while it stages: its node keeps its place.
pub(super) fn return_what_became_ineligible(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Staging, Phase::Staged, Phase::Approved]) {
        let situation = &draft.situations[at];
        if !situation.has_original_agent() && is_no_longer_eligible(draft, at) {
            give_up(draft, at);
        }
    }
    return_what_an_original_agent_lets_go_by(draft);
    for policy in draft.snapshot.policies.values().filter(|policy| policy.accepted.is_ok()) {
        return_other_topologies(draft, policy);
        return_excess(draft, policy);
    }
}

/// Returns the nodes without an approval whose topology value must not be in flight together with what cannot be returned, or, where
/// everything can, with the first in order. That happens when a policy gets a `topologyKey` in the middle of a rollout.
fn return_other_topologies(draft: &mut Draft<'_>, policy: &PolicyFacts) {
    if policy.accepted.as_ref().is_ok_and(|accepted| accepted.topology_key.is_none()) {
        return;
    }
    let returnable = returnable(draft, policy);
    let values_of = |at: &usize| topology::value(policy, draft.situations[*at].node);
    let stays = |at: &usize| !returnable.contains(at);
    let mut kept = BTreeSet::new();
    kept.extend(draft.in_flight_for(policy).filter(stays).filter_map(|at| values_of(&at)));
    if kept.is_empty() {
        kept.extend(returnable.first().and_then(values_of));
    }
    let others = returnable.iter().filter(|at| values_of(at).is_some_and(|value| !kept.contains(&value)));
    for at in others.copied().collect::<Vec<_>>() {
        give_up(draft, at);
    }
}

/// The nodes in flight for the policy that have no approval and could give up their place, first in order first.
fn returnable(draft: &Draft<'_>, policy: &PolicyFacts) -> Vec<usize> {
    let open = draft.open_in(&[Phase::Staging, Phase::Staged]).into_iter().map(|at| (at, &draft.situations[at]));
    let candidates = open
        .filter(|(_, situation)| situation.counts_for().any(|counted| counted.name == policy.name))
        .filter(|(_, situation)| !situation.has_original_agent());
    in_order(candidates.filter_map(|(at, situation)| Some(rank(draft, at, situation.desired_version()?))))
}

/// An original agent that has not staged in time has most likely not begun: its place is given to another node. The order keeps
/// the version, so that it is known what was given up.
fn return_what_an_original_agent_lets_go_by(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Staging]) {
        let situation = &draft.situations[at];
        let late = deadline(situation).is_some_and(|deadline| deadline <= draft.now);
        if let Some(shadow) = situation.readable().filter(|_| late && situation.has_original_agent()) {
            let desired = Desired { version: shadow.desired.version.clone(), ..back_to_idle(shadow, draft.now) };
            draft.act(at, Verb::Return, desired);
        }
    }
}

/// A version that changes before the approval goes through the rules again; with an approval only the loss of its own right counts.
fn is_no_longer_eligible(draft: &Draft<'_>, at: usize) -> bool {
    let situation = &draft.situations[at];
    let (Some(shadow), Some(observed)) = (situation.readable(), situation.observed()) else { return false };
    let Some(version) = &shadow.desired.version else { return true };
    let frozen = situation.phase == Phase::Approved && *version != observed.current_version;
    let newest = draft.choice(at).taken() == Some(version);
    let policy = situation.owner.policy();
    // Of policies that are tied none may update it.
    let lost_its_policy = policy.is_none_or(|policy| shadow.desired.policy.as_ref() != Some(&policy.name));
    let may_take = |offer| may_take(&draft.releases, policy, offer, version, draft.now);
    let taken = newest || (frozen && draft.offer(at).is_some_and(may_take));
    let halted = policy.and_then(|policy| draft.halts.forbid(&policy.name, version));
    lost_its_policy || !taken || halted.is_some() || eligible::hindrance(situation, version, draft.now).is_some()
}

/// Returns the last nodes in order that have no approval, by as many as the policy is over its limit. Those that are on their way
/// back already count as gone here, or each plan would return further ones until the first have reported.
fn return_excess(draft: &mut Draft<'_>, policy: &PolicyFacts) {
    let Some(most) = draft.budgets.most_in_flight(policy) else { return };
    let excess = draft.in_flight_for(policy).count().saturating_sub(most);
    let last: Vec<_> = returnable(draft, policy).into_iter().rev().take(excess).collect();
    for at in last {
        give_up(draft, at);
    }
}

/// Idle gives a node back. One that was out for an earlier failure stays out: it is asked for that update again.
fn give_up(draft: &mut Draft<'_>, at: usize) {
    let situation = &draft.situations[at];
    if let Some(shadow) = situation.readable() {
        if let Some(desired) = put_back(situation, shadow) {
            return draft.act(at, Verb::PutBack, desired);
        }
        draft.act(at, Verb::Return, back_to_idle(shadow, draft.now));
    }
}
