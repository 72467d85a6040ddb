//! Which nodes are unavailable without being in flight (`maxUnavailable`).

use super::node_view::NodeView;

/// Whether the node is missing from its workloads already, whoever is to blame: it is not Ready or it is cordoned. A node that
/// failed keeps its cordon.
pub(super) const fn is_down(node: &NodeView<'_>) -> bool {
    node.managed && (!node.ready || node.cordoned || node.has_failed)
}
