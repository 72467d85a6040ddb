//! What is known of the agent on a node.

use api::shadow::{Activity, Observed};

use crate::snapshot::NodeFacts;

/// Whether an agent of the original operator has reported: it tells no version of its own.
pub(super) const fn is_original(observed: &Observed) -> bool {
    observed.agent_version.is_none()
}

/// Whether our agent on the node is not heard from. Agents of the original operator have no probe: they are never silent.
pub(super) fn is_silent(node: &NodeFacts, observed: Option<&Observed>) -> bool {
    observed.is_some_and(|observed| !is_original(observed)) && !node.agent_ready
}

/// Whether the agent has said that it activates or reboots, which it does before it begins. What it says after the snapshot was
/// taken refuses the write.
pub(super) fn is_activating(observed: &Observed) -> bool {
    observed.rebooting.is_some() || matches!(observed.activity, Some(Activity::Activating | Activity::Rebooting))
}

/// Failures in a row, and drains that did not end.
pub(super) fn failures(observed: &Observed) -> u32 {
    let aborted = observed.failure.as_ref().map_or(0, |failure| failure.attempts);
    observed.crash_count.saturating_add(aborted)
}
