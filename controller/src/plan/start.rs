//! Who begins, and why the others do not.

use api::{HoldReason, State, shadow::Desired, text};
use semver::Version;

use super::{
    Hold, backoff,
    deadline::given_up_until,
    draft::Draft,
    eligible,
    order::{in_order, rank},
    ownership::Owner,
    phase::Phase,
    releases::Choice,
    settings,
    situation::Situation,
};
use crate::action::Verb;

/// Starts nodes, first in order first, as long as their policies have room.
pub(super) fn begin(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Unreported]) {
        draft.hold(at, Hold::new(HoldReason::NoStatus, "the agent has not reported yet"));
    }
    let mut candidates = Vec::new();
    for at in draft.open_in(&[Phase::Resting, Phase::Booted]) {
        let situation = &draft.situations[at];
        if situation.phase == Phase::Booted && !may_try_a_newer_one(situation, draft.choice(at)) {
            continue;
        }
        let version = match draft.choice(at).clone() {
            Choice::Current => continue,
            Choice::Take(version) => version,
            Choice::Held(hold) => {
                draft.hold(at, hold);
                continue;
            }
        };
        match unfit(draft, situation, version) {
            Some(hold) => {
                wake_after_back_off(draft, at, version);
                draft.hold(at, hold);
            }
            None => candidates.push(rank(draft, at, version)),
        }
    }
    for at in in_order(candidates) {
        start(draft, at);
    }
}

/// Whether a node that has failed its health gate can be started on a newer version: its verdict is stored, so that it is known
/// what was tried.
fn may_try_a_newer_one(situation: &Situation<'_>, choice: &Choice<'_>) -> bool {
    let failed = situation.observed().and_then(|observed| observed.failed.as_ref());
    let ours = !situation.has_original_agent();
    ours && situation.has_failed && failed.is_some_and(|failed| choice.taken() > Some(&failed.version))
}

/// Why the node would not start even if its policy were not paused and had room.
fn unfit(draft: &Draft<'_>, situation: &Situation<'_>, version: &Version) -> Option<Hold> {
    let Some(policy) = situation.owner.policy() else { return Some(ownerless(&situation.owner)) };
    let refused = eligible::forbids_start(draft, policy, situation, version);
    let hindrance = eligible::hindrance(situation, version, draft.now);
    let hindrance = hindrance.or_else(|| eligible::is_stuck(draft.snapshot, situation));
    match (refused, hindrance) {
        // Of the node that failed itself its own failure says more than the halt that follows from it.
        (Some(halted), Some(own)) if (halted.reason, own.reason) == (HoldReason::Halted, HoldReason::VersionFailed) => {
            Some(own)
        }
        (refused, hindrance) => refused.or(hindrance),
    }
}

/// Why nobody may update the node.
pub(super) fn ownerless(owner: &Owner<'_>) -> Hold {
    match owner {
        Owner::Tied(policies) => {
            let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
            let message = format!("policies {} select the node with the same priority", text::names(&names));
            Hold::new(HoldReason::Conflict, message)
        }
        Owner::Nobody | Owner::Policy(_) => Hold::new(HoldReason::NoPolicy, "no policy selects the node"),
    }
}

/// Makes sure there is a plan when what the node's failures with `version` keep it for is over.
pub(super) fn wake_after_back_off(draft: &mut Draft<'_>, at: usize, version: &Version) {
    let situation = &draft.situations[at];
    let acknowledged = situation.node.acknowledges(version);
    let after_failure =
        situation.observed().and_then(|observed| backoff::next_try(observed, version, acknowledged, draft.now));
    let next = after_failure.into_iter().chain(given_up_until(situation, draft.now));
    for next in next.collect::<Vec<_>>() {
        draft.wake_at(next);
    }
}

fn start(draft: &mut Draft<'_>, at: usize) {
    let situation = &draft.situations[at];
    let (Some(policy), Some(version)) = (situation.owner.policy(), draft.choice(at).taken()) else { return };
    if situation.readable().is_none() {
        return;
    }
    let full = draft.budgets.forbid_start(policy, situation);
    if full.is_none() {
        draft.budgets.add_start(policy, situation);
    }
    if let Some(paused) = eligible::is_paused(policy) {
        if full.is_none() {
            draft.would_start(&policy.name, situation.digest.name, version.clone());
        }
        return draft.hold(at, paused);
    }
    if let Some(full) = full {
        return draft.hold(at, full);
    }
    let desired = Desired {
        state: State::StagedAndPerformedUpdate,
        since: Some(draft.now),
        version: Some(version.clone()),
        policy: Some(policy.name.clone()),
        ..settings::apply(policy, Desired::default())
    };
    draft.act(at, Verb::Start, desired);
}
