//! How far the update of one node is: what the spec asks for, held against what the status reports and what the Node carries.

use api::shadow::Observed;
use api::{DisruptionRecord, Shadow, State, names};

use crate::snapshot::{NodeFacts, ShadowFacts};

/// How far the update of one node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// There is no shadow yet, or no report in it.
    Unreported,
    /// The shadow cannot be read.
    Unreadable,
    /// Nothing is under way.
    Resting,
    /// The image is being staged.
    Staging,
    /// The image is staged; there is no approval.
    Staged,
    /// There is an approval that the Node does not show to be used.
    Approved,
    /// The approval is used: what has begun finishes.
    Disrupting,
    /// The original operator has begun this disruption, and there is no record yet. The apiserver writes one within
    /// seconds. The spec must not change before that, or the apiserver would take the cordon for an administrator's and
    /// leave it.
    Unadopted,
    /// An approval was withdrawn after the disruption had begun under it: the Node carries its record.
    WithdrawnTooLate,
    /// The node came up in the new version.
    Booted,
    /// It is being restored.
    Restoring,
    /// It is restored; the last word is ours.
    Restored,
    /// The agent reports a failure; the word is ours.
    Failed,
    /// It is asked to go back to Idle and has not said so yet.
    Returning,
    /// Asked and reported do not fit together: it is asked to go back to Idle.
    Inconsistent,
}

pub(super) fn phase(node: &NodeFacts, shadow: Option<&ShadowFacts>) -> Phase {
    match shadow {
        None => Phase::Unreported,
        Some(ShadowFacts::Unreadable { .. }) => Phase::Unreadable,
        Some(ShadowFacts::Readable(shadow)) => match &shadow.observed {
            None if shadow.desired.state == State::Idle => Phase::Unreported,
            None if is_unadopted(node, shadow) => Phase::Unadopted,
            None => Phase::Inconsistent,
            Some(_) if is_unadopted(node, shadow) => Phase::Unadopted,
            Some(observed) => with_status(node, shadow, observed),
        },
    }
}

fn with_status(node: &NodeFacts, shadow: &Shadow, observed: &Observed) -> Phase {
    use State::{ErrorReset, Idle, MonitoringUpdate, RebootedIntoUpdate, StagedAndPerformedUpdate};
    match (shadow.desired.state, observed.state) {
        (Idle | ErrorReset, Idle) if !node.has_record() => Phase::Resting,
        (Idle | ErrorReset, _) => Phase::Returning,
        (_, ErrorReset) => Phase::Failed,
        (StagedAndPerformedUpdate, RebootedIntoUpdate) if follows_a_failure(shadow, observed) => Phase::Staging,
        (StagedAndPerformedUpdate, Idle | StagedAndPerformedUpdate) if has_begun(node, shadow) => {
            Phase::WithdrawnTooLate
        }
        (StagedAndPerformedUpdate, Idle) => Phase::Staging,
        (StagedAndPerformedUpdate, StagedAndPerformedUpdate) => Phase::Staged,
        (RebootedIntoUpdate, Idle | StagedAndPerformedUpdate) => approved(node, shadow, observed),
        (RebootedIntoUpdate, RebootedIntoUpdate) => Phase::Booted,
        (MonitoringUpdate, MonitoringUpdate) => Phase::Restored,
        (MonitoringUpdate, _) => Phase::Restoring,
        (StagedAndPerformedUpdate, RebootedIntoUpdate | MonitoringUpdate) | (RebootedIntoUpdate, MonitoringUpdate) => {
            Phase::Inconsistent
        }
    }
}

/// By the rule of the apiserver (`apiserver/src/node/adopt.rs`): what it does not adopt is not waited for.
fn is_unadopted(node: &NodeFacts, shadow: &Shadow) -> bool {
    if shadow.desired.begun_by_the_original().is_none() || node.record != Ok(None) {
        return false;
    }
    let label = node.labels.get(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL);
    let touched = node.cordoned || label.is_some_and(|value| value == names::ORIGINALS_EXCLUSION);
    touched && shadow.node.name == node.name && shadow.node.uid == node.uid
}

/// Whether a newer version was started on a node that had failed on another.
fn follows_a_failure(shadow: &Shadow, observed: &Observed) -> bool {
    observed.failed.as_ref().is_some_and(|failed| shadow.desired.version.as_ref() > Some(&failed.version))
}

/// Whether the Node carries the record of an approval for the very version that is asked for.
fn has_begun(node: &NodeFacts, shadow: &Shadow) -> bool {
    matches!(&node.record, Ok(Some(record)) if Some(&record.approval.version) == shadow.desired.version.as_ref())
}

/// Under RebootedIntoUpdate. A spec without an expiry is the original operator's: until the Node shows that it was used, it
/// is a staged node that waits for an approval of ours.
fn approved(node: &NodeFacts, shadow: &Shadow, observed: &Observed) -> Phase {
    // The record of an update that failed before this one was started.
    let left_over = |record: &DisruptionRecord| {
        observed.state != State::RebootedIntoUpdate && shadow.desired.version.as_ref() > Some(&record.approval.version)
    };
    match (shadow.desired.approval(), &node.record) {
        (Some(_), Ok(Some(record))) if left_over(record) => Phase::Approved,
        (Some(approval), Ok(Some(DisruptionRecord { approval: used, .. }))) if *used == approval => Phase::Disrupting,
        (None, Ok(None)) => Phase::Staged,
        (Some(_), Ok(None)) => Phase::Approved,
        // The record of another approval, or one that cannot be read: whatever it is, it has begun.
        _ => Phase::Disrupting,
    }
}
