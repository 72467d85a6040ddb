//! Shadows that have no node any more.

use api::shadow::Order;

use super::draft::Draft;
use crate::action::Verb;

/// Deletes the shadows whose Node is gone, or was made again under the same name, and those of unmanaged nodes once nothing
/// of the operator's is left on the Node.
pub(super) fn delete_orphans(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    for shadow in snapshot.shadows.values() {
        let keep = snapshot.node_of(shadow).is_some_and(|node| node.managed || node.is_marked());
        if let (false, Some(shadow)) = (keep, shadow.readable()) {
            draft.act(Verb::Delete, shadow, Order::default());
        }
    }
}
