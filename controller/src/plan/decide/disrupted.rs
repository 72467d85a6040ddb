//! What has begun finishes: no limit, pause or window stands in its way.

use api::Shadow;

use super::adjust::adjusted;
use super::silent;
use super::withdrawn::reinstated;
use crate::plan::deadline::ready_deadline;
use crate::plan::decision::Decision;
use crate::plan::node_view::NodeView;
use crate::plan::rules::Rules;
use crate::plan::verdict;

/// The agent goes on by itself. Where our agent has come to a node that the original operator had begun to disrupt, the original's
/// spec gives it no approval to act on: the one that the record names does.
pub(super) fn goes_on<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Decision<'a> {
    let mut waits = Decision::wait();
    if shadow.desired.begun_by_the_original().is_some() && !node.has_original_agent {
        if let Some(reinstated) = reinstated(node, shadow) {
            return reinstated;
        }
        waits = waits.until(ready_deadline(shadow).filter(|deadline| *deadline > rules.now));
    }
    let kept_out = || verdict::kept_out(node, rules.now);
    let silent = || silent::waits_for_agent(node, rules.now).with(kept_out());
    waits.with(adjusted(node, shadow, rules.snapshot).unwrap_or_else(silent))
}
