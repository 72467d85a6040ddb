//! The check's eyes on one node: whether it must be left alone.

use api::shadow::{FailureKind, Observed};
use semver::Version;

use super::Broken;
use crate::action::Action;
use crate::snapshot::NodeFacts;

pub(super) fn may_be_moved(node: &NodeFacts, action: &Action, observed: &Observed) -> Result<(), Broken> {
    let silent = observed.agent_version.is_some() && !node.agent_ready;
    let foreign_cordon = node.cordoned && matches!(node.record, Ok(None)) && node.update_now != action.desired.version;
    let away = !node.ready || node.leaving.is_some();
    let failed = action.desired.version.as_ref().is_some_and(|version| has_failed_on(version, node, observed));
    if silent || foreign_cordon || away || failed || node.hold.is_some() || node.record.is_err() {
        Err(Broken::Node)
    } else {
        Ok(())
    }
}

/// Whether the node has failed on `version` before, as the verdict or its agent says, and nobody has acknowledged that.
fn has_failed_on(version: &Version, node: &NodeFacts, observed: &Observed) -> bool {
    let verdict = observed.failed.as_ref().map(|failed| &failed.version);
    let fallback = observed.failure.as_ref().filter(|failure| failure.kind == FailureKind::Fallback);
    let mut failed_on = verdict.into_iter().chain(fallback.map(|failure| &failure.version));
    failed_on.any(|failed| failed == version) && node.failure_acknowledged.as_ref() != Some(version)
}
