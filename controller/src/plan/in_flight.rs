//! What counts for the limits (design section 4, "In flight").

use api::State;
use api::shadow::Verdict;
use jiff::Timestamp;

use super::{agent, deadline};
use crate::snapshot::{NodeFacts, ShadowFacts};

/// Whether a node is in flight: asked for or reporting anything but Idle, or carrying a disruption record, with or without
/// a shadow; except when it has failed. A node whose Node object is gone has no facts and never gets here.
#[must_use]
pub fn in_flight(node: &NodeFacts, facts: Option<&ShadowFacts>, now: Timestamp) -> bool {
    if facts.is_some_and(|facts| has_failed(node, facts)) {
        return false;
    }
    if node.has_record() {
        return true;
    }
    let shadow = match facts {
        None => return false,
        Some(ShadowFacts::Unreadable { .. }) => return true,
        Some(ShadowFacts::Readable(shadow)) => shadow,
    };
    let asked = shadow.desired.state != State::Idle;
    let reports = shadow.observed.as_ref().is_some_and(|observed| observed.state != State::Idle);
    let silent = agent::is_silent(node, shadow.observed.as_ref())
        || facts.is_some_and(|facts| deadline::original_is_gone(node, facts, now));
    if !node.managed || (!asked && silent) {
        // Nobody is left who could act on it, and nothing on the Node is left to undo.
        return false;
    }
    asked || reports
}

/// Whether the stored verdict keeps the node out of the counts. It must be about the version in the spec, or about the
/// one whose record is being restored, and must not be acknowledged. Nodes of original agents are restored at once and
/// go on counting.
pub(super) fn has_failed(node: &NodeFacts, facts: &ShadowFacts) -> bool {
    let Some(shadow) = facts.readable() else { return false };
    let Some(failed) = shadow.observed.as_ref().and_then(|observed| observed.failed.as_ref()) else { return false };
    let record_is_about_it = matches!(&node.record, Ok(Some(record)) if record.approval.version == failed.version);
    let about_it = match shadow.desired.state {
        State::RebootedIntoUpdate => shadow.desired.version.as_ref() == Some(&failed.version),
        State::Idle => record_is_about_it,
        _ => false,
    };
    about_it && failed.kind != Verdict::Unknown && !node.acknowledges(&failed.version)
}
