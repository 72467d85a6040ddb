//! The update ends before the reboot, or with a failure: Idle, so that the node is restored.

use api::shadow::{Failed, Verdict};
use api::{HoldReason, Shadow};
use jiff::Timestamp;

use super::withdrawn::reinstated;
use crate::action::Verb;
use crate::plan::agent::is_activating;
use crate::plan::decision::Decision;
use crate::plan::hold::Hold;
use crate::plan::node_view::NodeView;
use crate::plan::rules::Rules;
use crate::plan::{desired, verdict};

/// Idle before the update was finished.
pub(super) fn to_idle<'a>(shadow: &Shadow, now: Timestamp) -> Decision<'a> {
    Decision::write(Verb::Abort, shadow, desired::idle(shadow, now))
}

/// A hold set while a node is disrupted and not activated yet ends the disruption: the drain stops because its approval is gone. An
/// original agent has activated while it staged: its node finishes. A node that has failed is kept out, and nothing more is done to it.
pub(super) fn held_by_annotation<'a>(node: &NodeView<'_>, shadow: &Shadow, now: Timestamp) -> Option<Decision<'a>> {
    let (Some(reason), Ok(Some(_)), false) = (&node.node.hold, &node.node.record, node.has_failed) else { return None };
    let ours = node.observed.is_some_and(|observed| !node.has_original_agent && !is_activating(observed));
    let hold = || Hold::new(HoldReason::HeldByAnnotation, format!("held by annotation: {reason}"));
    ours.then(|| to_idle(shadow, now).with(Decision::hold(hold())))
}

/// A node whose failure somebody has acknowledged while it was kept out for it.
pub(super) fn acknowledged<'a>(node: &NodeView<'_>, shadow: &Shadow, rules: &Rules<'_>) -> Option<Decision<'a>> {
    let kept_out = |failed: &Failed| {
        let kind = matches!(failed.kind, Verdict::NoBoot | Verdict::Health);
        kind && shadow.desired.version.as_ref() == Some(&failed.version)
    };
    let failed = verdict::latest(node, rules.snapshot).filter(kept_out)?;
    node.node.acknowledges(&failed.version).then(|| to_idle(shadow, rules.now))
}

/// The agent reports a failure: Idle, or the approval that the record names where the node was kept out for an earlier failure.
pub(super) fn failed<'a>(node: &NodeView<'_>, shadow: &Shadow, now: Timestamp) -> Option<Decision<'a>> {
    if must_wait(node) || is_reinstated(node) {
        return None;
    }
    let kept_out = if was_kept_out(node) { reinstated(node, shadow) } else { None };
    Some(kept_out.unwrap_or_else(|| to_idle(shadow, now)))
}

/// Whether a failure is not answered yet: the verdict on it is not stored, or the node, which came back in the version it had
/// before, is not Ready.
fn must_wait(node: &NodeView<'_>) -> bool {
    let Some(failed) = &node.failed else { return false };
    let stored = node.observed.and_then(|observed| observed.failed.as_ref()) == Some(failed);
    let about_it = node.desired_version() == Some(&failed.version);
    about_it && (!stored || (failed.kind == Verdict::Fallback && !node.ready))
}

/// Whether the earlier approval was reinstated and the agent has not confirmed it yet.
fn is_reinstated(node: &NodeView<'_>) -> bool {
    let runs = node.observed.map(|observed| &observed.current_version);
    node.has_failed && runs == node.desired_version()
}

/// Whether a node that is kept out was started on a newer version and failed before that update touched the Node. It
/// stays kept out for the earlier failure then.
fn was_kept_out(node: &NodeView<'_>) -> bool {
    let kept = node.failed.as_ref().filter(|failed| matches!(failed.kind, Verdict::NoBoot | Verdict::Health));
    let record = node.node.record.as_ref().ok().and_then(Option::as_ref);
    let newer = node.desired_version() > record.map(|record| &record.approval.version);
    newer && kept.is_some_and(|failed| record.is_some_and(|record| record.approval.version == failed.version))
}
