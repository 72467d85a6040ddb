//! Nodes that have begun and are not disrupted yet go back to Idle when they may no longer be updated, so that they hold no
//! place that another node could use.

use jiff::Timestamp;

use super::{
    advance::back_to_idle, draft::Draft, eligible, order::rank, ownership::Owner, phase::Phase, situation::Situation,
};
use crate::{action::Verb, snapshot::PolicyFacts};

/// Returns nodes that became ineligible, changed their policy or their version, or exceed a limit lowered since. An original
/// agent activates while it stages: its node keeps its place.
pub(super) fn return_what_became_ineligible(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Staging, Phase::Staged, Phase::Going]) {
        let situation = &draft.situations[at];
        if !situation.has_original_agent() && is_no_longer_eligible(situation, draft.now) {
            give_up(draft, at);
        }
    }
    for policy in draft.snapshot.policies.values().filter(|policy| policy.accepted.is_ok()) {
        return_excess(draft, policy);
    }
}

fn is_no_longer_eligible(situation: &Situation<'_>, now: Timestamp) -> bool {
    let (Some(shadow), Some(report)) = (situation.readable(), situation.report()) else { return false };
    let Some(version) = &shadow.order.version else { return true };
    let lost_its_policy = match &situation.owner {
        Owner::Nobody => true,
        Owner::Policy(policy) => shadow.order.policy.as_ref() != Some(&policy.name),
        Owner::Tied(policies) => policies.iter().all(|policy| shadow.order.policy.as_ref() != Some(&policy.name)),
    };
    lost_its_policy
        || eligible::wanted(report) != Some(version)
        || eligible::hindrance(situation, version, now).is_some()
}

/// Returns the last nodes in order that have no go, by as many as the policy is over its limit. Those that are on their way
/// back already count as gone here, or each plan would return further ones until the first have reported.
fn return_excess<'a>(draft: &mut Draft<'a>, policy: &'a PolicyFacts) {
    let on_their_way = draft.returning(&policy.name);
    let excess = draft.budgets.excess(policy).saturating_sub(on_their_way);
    let mut candidates: Vec<_> = draft
        .open_in(&[Phase::Staging, Phase::Staged])
        .into_iter()
        .map(|at| (at, &draft.situations[at]))
        .filter(|(_, situation)| situation.counts_for().any(|name| name == policy.name))
        .filter(|(_, situation)| !situation.has_original_agent())
        .filter_map(|(at, situation)| Some((rank(situation, situation.ordered_version()?), at)))
        .collect();
    candidates.sort();
    let last: Vec<_> = candidates.into_iter().rev().take(excess).map(|(_, at)| at).collect();
    for at in last {
        give_up(draft, at);
    }
}

fn give_up(draft: &mut Draft<'_>, at: usize) {
    if let Some(shadow) = draft.situations[at].readable() {
        draft.act(Verb::Return, shadow, back_to_idle(shadow, draft.now));
    }
}
