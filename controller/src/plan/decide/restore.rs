//! The end of an update: the node is healthy and is restored, and is Idle then.

use api::shadow::Desired;
use api::{HoldReason, Shadow, State};
use jiff::Timestamp;

use crate::action::Verb;
use crate::plan::deadline::ready_deadline;
use crate::plan::decision::Decision;
use crate::plan::desired;
use crate::plan::gate::Closed;
use crate::plan::hold::Hold;
use crate::plan::node_view::NodeView;
use crate::plan::rules::Rules;

/// The node passes its health gate: it is restored.
pub(super) fn healthy<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Option<Decision<'a>> {
    node.gate(rules.snapshot).ok()?;
    let desired = Desired {
        state: State::MonitoringUpdate,
        since: Some(rules.now),
        disrupt_not_after: None,
        ..shadow.desired.clone()
    };
    Some(Decision::write(Verb::Restore, shadow, desired))
}

/// Why the node does not pass.
pub(super) fn unhealthy<'a>(node: &NodeView<'_>, rules: &Rules<'_>) -> Decision<'a> {
    match node.gate(rules.snapshot) {
        Ok(()) => Decision::wait(),
        Err(Closed { why, until }) => Decision::hold(Hold::new(HoldReason::Unhealthy, why.clone())).until(*until),
    }
}

/// The last Idle, once the node is Ready again or has not been for too long.
pub(super) fn finished<'a>(node: &NodeView<'_>, shadow: &Shadow, now: Timestamp) -> Decision<'a> {
    let deadline = ready_deadline(shadow).filter(|deadline| *deadline > now);
    if !node.ready && deadline.is_some() {
        return Decision::wait().until(deadline);
    }
    Decision::write(Verb::Finish, shadow, desired::idle(shadow, now))
}
