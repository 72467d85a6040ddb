//! Shadows that have no node any more.

use api::shadow::Desired;

use super::draft::Draft;
use crate::action::Verb;

/// Deletes the shadows whose Node is gone, or was made again under the same name, and those of unmanaged nodes once nothing
/// of the operator's is left on the Node.
pub(super) fn delete_orphans(draft: &mut Draft<'_>) {
    for orphan in std::mem::take(&mut draft.orphans) {
        orphan.readable().into_iter().for_each(|shadow| draft.delete(shadow));
    }
    for at in 0..draft.situations.len() {
        let node = &draft.situations[at].digest;
        if !node.managed && !node.marked {
            draft.act(at, Verb::Delete, Desired::default());
        }
    }
}
