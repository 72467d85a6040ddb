//! Which nodes are unavailable without being in flight (`maxUnavailable`).

use super::situation::Situation;

/// Whether the node is missing from its workloads already, whoever is to blame: it is not Ready or it is cordoned. A node that
/// failed keeps its cordon.
pub(super) fn is_down(situation: &Situation<'_>) -> bool {
    situation.node.managed && (!situation.node.ready || situation.node.cordoned || situation.has_failed)
}
