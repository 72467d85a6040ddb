//! Which nodes are unavailable without being in flight (`maxUnavailable`).

use super::situation::Situation;

/// Whether the node is missing from its workloads already, whoever is to blame: it is not Ready or it is cordoned. A node that
/// failed keeps its cordon.
pub(super) const fn is_down(situation: &Situation<'_>) -> bool {
    let node = &situation.digest;
    node.managed && (!node.ready || node.cordoned || situation.has_failed)
}
