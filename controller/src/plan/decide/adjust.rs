//! What a policy says about how a node is disrupted, brought to nodes that are under way.

use api::policy::DrainRule;
use api::shadow::Desired;
use api::{DisruptionRecord, Shadow};

use crate::action::Verb;
use crate::plan::decision::Decision;
use crate::plan::desired;
use crate::plan::node_view::NodeView;
use crate::snapshot::{PolicyFacts, Snapshot};

/// Brings the spec up to the policy that the node began under, so that an edit reaches a running drain even if another
/// policy owns the node by now. Neither the approval nor its expiry changes. `None` if nothing changes.
pub(super) fn adjusted<'a>(node: &NodeView<'_>, shadow: &Shadow, snapshot: &Snapshot) -> Option<Decision<'a>> {
    let policy = snapshot.policies.get(shadow.desired.policy.as_ref()?)?;
    let desired = follow(node, policy, &shadow.desired);
    (desired != shadow.desired).then(|| Decision::write(Verb::Adjust, shadow, desired))
}

/// After the drain has begun, the exclusion wait is over, so only the settings of the drain change. A spec without them
/// means the default.
fn follow(node: &NodeView<'_>, policy: &PolicyFacts, desired: &Desired) -> Desired {
    let drains = matches!(&node.node.record, Ok(Some(DisruptionRecord { cordoned: true, .. })) | Err(_));
    let followed = desired::under(policy, desired.clone());
    let wait = if drains { desired.exclusion_wait_seconds } else { followed.exclusion_wait_seconds };
    let says_the_same = desired.drain.is_none() && followed.drain == Some(DrainRule::default().stored());
    let drain = if says_the_same { None } else { followed.drain };
    Desired { exclusion_wait_seconds: wait, drain, ..followed }
}
