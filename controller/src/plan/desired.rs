//! The specs that are asked for in more than one place.

use api::shadow::Desired;
use api::{Policy, Shadow};
use jiff::Timestamp;

use crate::snapshot::PolicyFacts;

/// Idle before the update was finished: the agent restores what it did. It keeps the policy, for whose limits the node counts until it
/// reports Idle too.
pub(super) fn idle(shadow: &Shadow, now: Timestamp) -> Desired {
    Desired { since: Some(now), policy: shadow.desired.policy.clone(), ..Desired::default() }
}

/// The same again, whose time begins now and which is no approval.
pub(super) fn without_approval(shadow: &Shadow, now: Timestamp) -> Desired {
    Desired { since: Some(now), disrupt_not_after: None, ..shadow.desired.clone() }
}

/// `desired` with what `policy` says of exclusion and drain. A policy that cannot be read leaves it as it is.
pub(super) fn under(policy: &PolicyFacts, desired: Desired) -> Desired {
    match &policy.accepted {
        Ok(accepted) => with(accepted, desired),
        Err(_) => desired,
    }
}

fn with(policy: &Policy, desired: Desired) -> Desired {
    Desired { exclusion_wait_seconds: policy.exclusion_wait_seconds, drain: Some(policy.drain.stored()), ..desired }
}
