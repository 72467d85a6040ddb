//! Who begins, and why the others do not.

use api::{HoldReason, State, shadow::Order};
use semver::Version;

use super::{Hold, draft::Draft, eligible, order::rank, ownership::Owner, phase::Phase, situation::Situation};
use crate::action::Verb;

/// Starts nodes, first in order first, as long as their policies have room.
pub(super) fn begin(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Unreported]) {
        draft.hold(at, Hold::new(HoldReason::NoStatus, "the agent has not reported yet"));
    }
    let mut candidates = Vec::new();
    for at in draft.open_in(&[Phase::Resting]) {
        let situation = &draft.situations[at];
        let Some(version) = situation.report().and_then(eligible::wanted) else { continue };
        match unfit(situation, version, draft.now) {
            Some(hold) => {
                wake_after_back_off(draft, at);
                draft.hold(at, hold);
            }
            None => candidates.push((rank(situation, version), at)),
        }
    }
    candidates.sort();
    let candidates: Vec<_> = candidates.into_iter().map(|(_, at)| at).collect();
    for at in candidates {
        start(draft, at);
    }
}

/// Why the node would not start even if its policy were not paused and had room.
fn unfit(situation: &Situation<'_>, version: &Version, now: jiff::Timestamp) -> Option<Hold> {
    let Some(policy) = situation.owner.policy() else { return Some(ownerless(&situation.owner)) };
    let refused = eligible::forbids(policy).filter(|hold| hold.reason != HoldReason::Paused);
    refused.or_else(|| eligible::hindrance(situation, version, now))
}

/// Why nobody may update the node.
pub(super) fn ownerless(owner: &Owner<'_>) -> Hold {
    match owner {
        Owner::Tied(policies) => {
            let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
            let message = format!("policies {} select the node with the same priority", names.join(" and "));
            Hold::new(HoldReason::Conflict, message)
        }
        Owner::Nobody | Owner::Policy(_) => Hold::new(HoldReason::NoPolicy, "no policy selects the node"),
    }
}

fn wake_after_back_off(draft: &mut Draft<'_>, at: usize) {
    let next = draft.situations[at].report().and_then(|report| super::backoff::next_try(report, draft.now));
    if let Some(next) = next {
        draft.wake_at(next);
    }
}

fn start(draft: &mut Draft<'_>, at: usize) {
    let situation = &draft.situations[at];
    let (Some(shadow), Some(policy)) = (situation.readable(), situation.owner.policy()) else { return };
    let Some(version) = situation.report().and_then(eligible::wanted) else { return };
    let room = draft.budgets.has_room_in_flight(policy);
    if room {
        draft.budgets.add_in_flight(&policy.name);
    }
    if let Some(paused) = eligible::forbids(policy) {
        if room {
            draft.would_start(&policy.name, &situation.node.name, version.clone());
        }
        return draft.hold(at, paused);
    }
    if !room {
        let message = format!("policy {} allows no more nodes in flight", policy.name);
        return draft.hold(at, Hold::new(HoldReason::BudgetFull, message));
    }
    let order = Order {
        state: State::StagedAndPerformedUpdate,
        since: Some(draft.now),
        version: Some(version.clone()),
        policy: Some(policy.name.clone()),
        ..Order::default()
    };
    draft.act(Verb::Start, shadow, order);
}
