//! What the original operator did to a node before this one took over: it left no record.
//!
//! What it writes into a spec names no policy and no expiry. On a node whose spec is past the approval a cordon without a record is
//! therefore its own, and so is the exclusion label with the value it writes; both get the record that they would have had, so that
//! the disruption goes on, counts, and is undone like one of ours. Everywhere else a cordon without a record is an administrator's.

use api::shadow::Desired;
use api::{ApprovalId, DisruptionRecord, Shadow, State, names};
use jiff::Timestamp;

use super::facts::NodeFacts;

/// The name of the approval that a spec of the original operator is: asked to be disrupted, without an expiry.
#[must_use]
pub fn originals_approval(desired: &Desired) -> Option<ApprovalId> {
    match (desired.state, &desired.version, desired.since, desired.disrupt_not_after) {
        (State::RebootedIntoUpdate, Some(version), Some(since), None) => {
            Some(ApprovalId { version: version.clone(), since })
        }
        _ => None,
    }
}

/// The record of what the original operator has done to the node; `None` when there is nothing to adopt.
#[must_use]
pub fn adopted(shadow: &Shadow, node: &NodeFacts, now: Timestamp) -> Option<DisruptionRecord> {
    if shadow.node != node.id || node.record != Ok(None) {
        return None;
    }
    let approval = shadow.desired.begun_by_the_original()?;
    let (cordoned, excluded) = (node.unschedulable, node.exclusion.as_deref() == Some(names::ORIGINALS_EXCLUSION));
    if !cordoned && !excluded {
        return None;
    }
    let others_label = node.exclusion.clone().filter(|_| !excluded);
    let drain_began = (cordoned && shadow.desired.state == State::RebootedIntoUpdate).then_some(now);
    Some(DisruptionRecord {
        cordoned,
        excluded,
        drain_began,
        ..DisruptionRecord::first(approval, now, false, others_label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::{approval, node, now, originals, record};

    fn cordoned() -> NodeFacts {
        NodeFacts { unschedulable: true, ..node() }
    }

    #[test]
    fn a_cordon_without_a_record_past_the_originals_approval_is_adopted() {
        for (state, drains) in [(State::RebootedIntoUpdate, true), (State::MonitoringUpdate, false)] {
            let record = adopted(&originals(state), &cordoned(), now()).unwrap();
            assert_eq!((record.cordoned, record.cordoned_before, record.excluded), (true, false, false));
            assert_eq!((record.drain_began.is_some(), record.approval), (drains, approval()));
        }
    }

    #[test]
    fn only_the_label_that_the_original_writes_is_its_own() {
        let labelled = |value: &str| NodeFacts { exclusion: Some(value.to_owned()), ..node() };
        let record = adopted(&originals(State::RebootedIntoUpdate), &labelled("True"), now()).unwrap();
        assert_eq!((record.excluded, record.exclusion_before), (true, None));
        assert_eq!(adopted(&originals(State::RebootedIntoUpdate), &labelled("mine"), now()), None);
        let both = NodeFacts { unschedulable: true, ..labelled("mine") };
        let record = adopted(&originals(State::RebootedIntoUpdate), &both, now()).unwrap();
        assert_eq!((record.excluded, record.exclusion_before.as_deref()), (false, Some("mine")));
    }

    #[test]
    fn an_administrators_cordon_is_not_adopted() {
        for state in [State::Idle, State::StagedAndPerformedUpdate, State::ErrorReset] {
            assert_eq!(adopted(&originals(state), &cordoned(), now()), None, "{state:?}");
        }
        let mut ours = originals(State::RebootedIntoUpdate);
        ours.desired.policy = Some("default".to_owned());
        assert_eq!(adopted(&ours, &cordoned(), now()), None);
        let mut ours = originals(State::RebootedIntoUpdate);
        ours.desired.disrupt_not_after = Some(now());
        assert_eq!(adopted(&ours, &cordoned(), now()), None);
    }

    #[test]
    fn nothing_is_adopted_twice_or_from_another_node_or_without_a_name() {
        let recorded = NodeFacts { record: Ok(Some(record())), ..cordoned() };
        assert_eq!(adopted(&originals(State::RebootedIntoUpdate), &recorded, now()), None);
        assert_eq!(adopted(&originals(State::RebootedIntoUpdate), &node(), now()), None, "nothing was done");
        let mut other = originals(State::RebootedIntoUpdate);
        other.node.uid = "n0".to_owned();
        assert_eq!(adopted(&other, &cordoned(), now()), None);
        let mut unnamed = originals(State::MonitoringUpdate);
        unnamed.desired.since = None;
        assert_eq!(adopted(&unnamed, &cordoned(), now()), None);
    }
}
