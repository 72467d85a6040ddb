//! Nodes that wait for their agent.

use api::HoldReason;
use jiff::Timestamp;

use crate::plan::agent;
use crate::plan::deadline::deadline;
use crate::plan::decision::Decision;
use crate::plan::hold::Hold;
use crate::plan::node_view::NodeView;

/// Nothing is done before the agent reports. It is not heard from when its pod is not Ready, or a deadline has passed. Around a
/// reboot only the deadline counts, where there is one.
pub(super) fn waits_for_agent<'a>(node: &NodeView<'_>, now: Timestamp) -> Decision<'a> {
    let rebooting = node.observed.is_some_and(|observed| observed.rebooting.is_some());
    let deadline = deadline(node);
    let tells = !rebooting || deadline.is_none();
    let silent = |message: String| Decision::hold(Hold::new(HoldReason::AgentSilent, message));
    match deadline {
        _ if tells && agent::is_silent(node.node, node.observed) => {
            silent("the agent's pod on the node is not Ready".to_owned())
        }
        Some(deadline) if deadline <= now => silent(format!("the agent should have reported by {deadline}")),
        later => Decision::wait().until(later),
    }
}
