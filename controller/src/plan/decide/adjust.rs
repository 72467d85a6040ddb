//! What a policy says about how a node is disrupted, brought to nodes that are under way.

use api::policy::DrainRule;
use api::shadow::Desired;
use api::{DisruptionRecord, Shadow};

use crate::action::Verb;
use crate::plan::decision::Decision;
use crate::plan::desired;
use crate::plan::node_view::NodeView;
use crate::snapshot::{PolicyFacts, Snapshot};

/// The spec as the policy that the node began under wants it now, so that an edit reaches a drain under way, also where another policy
/// owns the node meanwhile. Neither the approval nor its expiry changes. `None` where it is so already.
pub(super) fn adjusted<'a>(node: &NodeView<'_>, shadow: &Shadow, snapshot: &Snapshot) -> Option<Decision<'a>> {
    let policy = snapshot.policies.get(shadow.desired.policy.as_ref()?)?;
    let desired = follow(node, policy, &shadow.desired);
    (desired != shadow.desired).then(|| Decision::write(Verb::Adjust, shadow, desired))
}

/// Once the drain has begun the wait before it is over: only the drain is adjusted then. A spec that says nothing of the drain
/// means the default.
fn follow(node: &NodeView<'_>, policy: &PolicyFacts, desired: &Desired) -> Desired {
    let drains = matches!(&node.node.record, Ok(Some(DisruptionRecord { cordoned: true, .. })) | Err(_));
    let followed = desired::under(policy, desired.clone());
    let wait = if drains { desired.exclusion_wait_seconds } else { followed.exclusion_wait_seconds };
    let says_the_same = desired.drain.is_none() && followed.drain == Some(DrainRule::default().stored());
    let drain = if says_the_same { None } else { followed.drain };
    Desired { exclusion_wait_seconds: wait, drain, ..followed }
}
