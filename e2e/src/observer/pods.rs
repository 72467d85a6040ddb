//! The pods that leave a node because it is drained.

use api::State;

use super::cluster::Cluster;
use super::facts::{NodeFacts, PodFacts, ShadowFacts};

/// The node that a pod is leaving because the operator drains it: the pod was not being deleted before this write, and now
/// is or is gone.
pub(super) fn drained_from<'a>(
    cluster: &'a Cluster,
    before: &PodFacts,
    after: &PodFacts,
    gone: bool,
) -> Option<&'a NodeFacts> {
    let leaves = !before.terminating && (after.terminating || gone) && before.must_go();
    let node = &cluster.nodes.get(before.node.as_ref()?)?.facts;
    let cordoned = node.unschedulable && node.record().is_some_and(|record| record.cordoned);
    let shadow = cluster.shadow_of(node).and_then(ShadowFacts::readable);
    let has_approval = shadow.is_some_and(|shadow| shadow.desired.state == State::RebootedIntoUpdate);
    (leaves && cordoned && has_approval).then_some(node)
}
