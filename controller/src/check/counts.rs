//! What one node counts as, whatever its policy.

use api::State;
use jiff::{SignedDuration, Timestamp};

use crate::snapshot::{NodeFacts, ShadowFacts};

/// An original agent that was asked to go back to Idle this long ago is not heard from any more.
const ORIGINAL_IS_SILENT_AFTER: SignedDuration = SignedDuration::from_mins(30);

/// What a node counts as.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) in_flight: bool,
    /// It has an approval or a record.
    pub(super) disrupted: bool,
    /// It is on its way back to Idle.
    pub(super) returning: bool,
}

pub(super) fn counts(node: &NodeFacts, shadow: Option<&ShadowFacts>, now: Timestamp) -> Counts {
    let recorded = !matches!(node.record, Ok(None));
    match shadow {
        None => Counts { in_flight: recorded, disrupted: recorded, returning: false },
        Some(ShadowFacts::Unreadable { .. }) => Counts { in_flight: true, disrupted: true, returning: false },
        Some(ShadowFacts::Readable(shadow)) => {
            let asked = shadow.desired.state != State::Idle;
            let reports = shadow.observed.as_ref().is_some_and(|observed| observed.state != State::Idle);
            let ours = shadow.observed.as_ref().is_some_and(|observed| observed.agent_version.is_some());
            let overdue =
                shadow.desired.since.is_some_and(|since| now.duration_since(since) >= ORIGINAL_IS_SILENT_AFTER);
            let silent = if ours { !node.agent_ready } else { shadow.observed.is_some() && overdue };
            let abandoned = !node.managed || (!asked && silent);
            let approval = shadow.desired.state == State::RebootedIntoUpdate;
            Counts {
                in_flight: recorded || ((asked || reports) && !abandoned),
                disrupted: recorded || approval,
                returning: !asked && reports && (recorded || !abandoned),
            }
        }
    }
}
