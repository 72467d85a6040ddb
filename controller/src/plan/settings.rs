//! What a policy says about how a node is disrupted, written into the node's order for agent and apiserver.

use api::{DisruptionRecord, Policy, policy::DrainRule, shadow::Desired};

use super::{draft::Draft, phase::Phase, situation::Situation};
use crate::{action::Verb, snapshot::PolicyFacts};

/// `order` with what `policy` says of exclusion and drain. A policy that cannot be read leaves it as it is.
pub(super) fn apply(policy: &PolicyFacts, desired: Desired) -> Desired {
    match &policy.accepted {
        Ok(accepted) => with(accepted, desired),
        Err(_) => desired,
    }
}

fn with(policy: &Policy, desired: Desired) -> Desired {
    Desired { exclusion_wait_seconds: policy.exclusion_wait_seconds, drain: Some(policy.drain.stored()), ..desired }
}

/// Brings the orders of nodes in flight up to what the policy they began under says now, so that an edit reaches a drain under way, also
/// where another policy owns the node meanwhile. Neither the approval nor its expiry changes.
pub(super) fn follow_edits(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Staging, Phase::Staged, Phase::Approved, Phase::Disrupting]) {
        let situation = &draft.situations[at];
        let Some(shadow) = situation.readable() else { continue };
        let began_under = shadow.desired.policy.as_ref().and_then(|policy| draft.snapshot.policies.get(policy));
        let Some(policy) = began_under else { continue };
        let desired = follow(situation, policy, &shadow.desired);
        if desired != shadow.desired {
            draft.act(at, Verb::Adjust, desired);
        }
    }
}

/// Once the drain has begun the wait before it is over: only the drain is adjusted then. An order that says nothing of the drain
/// means the default.
fn follow(situation: &Situation<'_>, policy: &PolicyFacts, desired: &Desired) -> Desired {
    let drains = matches!(&situation.node.record, Ok(Some(DisruptionRecord { cordoned: true, .. })) | Err(_));
    let followed = apply(policy, desired.clone());
    let wait = if drains { desired.exclusion_wait_seconds } else { followed.exclusion_wait_seconds };
    let says_the_same = desired.drain.is_none() && followed.drain == Some(DrainRule::default().stored());
    let drain = if says_the_same { None } else { followed.drain };
    Desired { exclusion_wait_seconds: wait, drain, ..followed }
}
