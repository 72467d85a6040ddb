//! Unused approvals beyond a limit that was lowered since, and those of a topology value that must not be disrupted any more.

use std::collections::BTreeSet;

use api::HoldReason;

use super::take_back as take_back_one;
use crate::{
    plan::{
        Hold,
        budget::has_approval_or_record,
        draft::Draft,
        order::{in_order, rank},
        phase::Phase,
        situation::Situation,
        topology,
    },
    snapshot::PolicyFacts,
};

/// Takes back the last unused approvals in order while more of the policy's nodes have an approval or marks than may be in flight, and those
/// whose topology value is not that of what is disrupted, or, where nothing is, of the first in order.
pub(super) fn take_back(draft: &mut Draft<'_>, policy: &PolicyFacts) {
    let value = |draft: &Draft<'_>, at: usize| topology::value(policy, draft.situations[at].node).map(owned);
    let unused = unused(draft, policy);
    let stays = |at: &usize| !unused.contains(at);
    let mut kept: BTreeSet<_> =
        disrupted(draft, policy).into_iter().filter(stays).filter_map(|at| value(draft, at)).collect();
    if kept.is_empty() {
        kept.extend(unused.first().and_then(|first| value(draft, *first)));
    }
    for at in unused
        .into_iter()
        .filter(|at| value(draft, *at).is_some_and(|value| !kept.contains(&value)))
        .collect::<Vec<_>>()
    {
        let message = format!("policy {} disrupts other topology values first", policy.name);
        take_back_one(draft, at, Hold::new(HoldReason::TopologyBusy, message));
    }
    let Some(most) = draft.budgets.most_in_flight(policy) else { return };
    let excess = disrupted(draft, policy).len().saturating_sub(most);
    let last: Vec<_> = self::unused(draft, policy).into_iter().rev().take(excess).collect();
    for at in last {
        let message = format!("policy {} allows no further disruption now", policy.name);
        take_back_one(draft, at, Hold::new(HoldReason::BudgetFull, message));
    }
}

fn owned(value: Option<&str>) -> Option<String> {
    value.map(str::to_owned)
}

/// The policy's nodes whose go is not used yet and was not taken back by this plan, first in order first.
fn unused(draft: &Draft<'_>, policy: &PolicyFacts) -> Vec<usize> {
    let going = draft.open_in(&[Phase::Approved]).into_iter().map(|at| (at, &draft.situations[at]));
    let going = going.filter(|(_, situation)| situation.counts_for().any(|counted| counted.name == policy.name));
    in_order(going.filter_map(|(at, situation)| Some(rank(draft, at, situation.desired_version()?))))
}

/// The policy's nodes that have an approval or marks, without the approvals that this plan takes back. What an earlier approval has left marks on stays
/// disrupted whatever becomes of the one it has now.
fn disrupted(draft: &Draft<'_>, policy: &PolicyFacts) -> Vec<usize> {
    let open = draft.open_in(&[Phase::Approved]);
    let all = draft.situations.iter().enumerate();
    let taken_back = |at: &usize, situation: &Situation<'_>| {
        situation.phase == Phase::Approved && !situation.digest.marked && open.binary_search(at).is_err()
    };
    all.filter(|(at, situation)| has_approval_or_record(situation) && !taken_back(at, situation))
        .filter(|(_, situation)| situation.counts_for().any(|counted| counted.name == policy.name))
        .map(|(at, _)| at)
        .collect()
}
