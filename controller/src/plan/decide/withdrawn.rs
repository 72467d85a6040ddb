//! An approval that was withdrawn although its disruption had begun: the Node carries its record.

use api::shadow::Desired;
use api::{Shadow, State};

use crate::action::Verb;
use crate::plan::decision::Decision;
use crate::plan::desired;
use crate::plan::node_view::NodeView;
use crate::plan::permission::forbids_disruption;
use crate::plan::rules::Rules;

/// The same approval again, so that the disruption finishes; unless nothing was done under the record and nothing may be.
pub(super) fn reinstated_or_dropped<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Decision<'a> {
    if is_bare(node) && forbids_disruption(node, rules).is_some() {
        return Decision::write(Verb::Unschedule, shadow, desired::idle(shadow, rules.now));
    }
    reinstated(node, shadow).unwrap_or_else(Decision::wait)
}

/// The approval that the Node's record names, as it was. It has expired; the record is what makes it hold.
pub(super) fn reinstated<'a>(node: &NodeView<'_>, shadow: &Shadow) -> Option<Decision<'a>> {
    let record = node.node.record.as_ref().ok()?.as_ref()?;
    let desired = Desired {
        state: State::RebootedIntoUpdate,
        since: Some(record.approval.since),
        version: Some(record.approval.version.clone()),
        disrupt_not_after: Some(record.began),
        ..shadow.desired.clone()
    };
    Some(Decision::write(Verb::Reinstate, shadow, desired))
}

/// Whether the Node carries nothing but the record: it is neither cordoned nor excluded under it. An apiserver died before it
/// read the shadow again.
fn is_bare(node: &NodeView<'_>) -> bool {
    matches!(&node.node.record, Ok(Some(record)) if !record.cordoned && !record.excluded)
}
