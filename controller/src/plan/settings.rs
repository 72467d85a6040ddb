//! What a policy says about how a node is disrupted, written into the node's order for agent and apiserver.

use api::{Marks, Policy, policy::DrainRule, shadow::Order};

use super::{draft::Draft, phase::Phase, situation::Situation};
use crate::{action::Verb, snapshot::PolicyFacts};

/// `order` with what `policy` says of exclusion and drain. A policy that cannot be read leaves it as it is.
pub(super) fn apply(policy: &PolicyFacts, order: Order) -> Order {
    match &policy.accepted {
        Ok(accepted) => with(accepted, order),
        Err(_) => order,
    }
}

fn with(policy: &Policy, order: Order) -> Order {
    Order { exclusion_wait_seconds: policy.exclusion_wait_seconds, drain: Some(policy.drain.stored()), ..order }
}

/// Brings the orders of nodes in flight up to what the policy they began under says now, so that an edit reaches a drain under way, also
/// where another policy owns the node meanwhile. Neither the go nor its expiry changes.
pub(super) fn follow_edits(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Staging, Phase::Staged, Phase::Going, Phase::Disrupting]) {
        let situation = &draft.situations[at];
        let Some(shadow) = situation.readable() else { continue };
        let began_under = shadow.order.policy.as_ref().and_then(|policy| draft.snapshot.policies.get(policy));
        let Some(policy) = began_under else { continue };
        let order = follow(situation, policy, &shadow.order);
        if order != shadow.order {
            draft.act(at, Verb::Adjust, order);
        }
    }
}

/// Once the drain has begun the wait before it is over: only the drain is adjusted then. An order that says nothing of the drain
/// means the default.
fn follow(situation: &Situation<'_>, policy: &PolicyFacts, order: &Order) -> Order {
    let drains = matches!(&situation.node.marks, Ok(Some(Marks { cordoned: true, .. })) | Err(_));
    let followed = apply(policy, order.clone());
    let wait = if drains { order.exclusion_wait_seconds } else { followed.exclusion_wait_seconds };
    let says_the_same = order.drain.is_none() && followed.drain == Some(DrainRule::default().stored());
    let drain = if says_the_same { None } else { followed.drain };
    Order { exclusion_wait_seconds: wait, drain, ..followed }
}
