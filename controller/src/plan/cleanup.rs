//! Shadows that have no node any more.

use api::shadow::Order;

use super::draft::Draft;
use crate::{action::Verb, snapshot::ShadowFacts};

/// Deletes the shadows whose Node is gone, or was made again under the same name, and those of unmanaged nodes once nothing
/// of the operator's is left on the Node.
pub(super) fn delete_orphans(draft: &mut Draft<'_>) {
    draft.snapshot.orphans().filter_map(ShadowFacts::readable).for_each(|shadow| draft.delete(shadow));
    for at in 0..draft.situations.len() {
        let node = draft.situations[at].node;
        if !node.managed && !node.is_marked() {
            draft.act(at, Verb::Delete, Order::default());
        }
    }
}
