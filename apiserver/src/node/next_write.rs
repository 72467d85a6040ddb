//! Whether a node may be disrupted now, and what the next write is.
//!
//! A disruption begins with a record that names its approval; only after that was written is the shadow read again, and only when
//! the approval is still there is anything done. Whoever withdraws an approval writes the shadow first and reads the Node after that:
//! so one of the two sees the other.

use api::{ApprovalId, DisruptionRecord, Shadow};
use jiff::{SignedDuration, Timestamp};

use super::adopt::{adopted, originals_approval};
use super::disruption::Disruption;
use super::facts::{Change, NodeFacts};
use super::not_allowed::NotAllowed;

/// What must be left of an approval when something is done under it for the first time: the longest a write may take, so that it
/// does not land after the approval's expiry.
pub const WRITE_DEADLINE: SignedDuration = SignedDuration::from_secs(5);

/// The label's value where we set it; what counts is that it is there.
const EXCLUDED: &str = "true";

/// The next write towards a [`Disruption`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextWrite {
    /// That of the record, after which the shadow is read again.
    Record(DisruptionRecord),
    /// That which does it.
    Change(Change),
    /// None: it is done, under this record.
    Nothing(DisruptionRecord),
}

/// The next write towards `what`. `unchecked` says that the present record was written by this very call and no approval has been
/// seen since: then the approval must still be valid and the Node managed. Otherwise a record of the approval is enough, however old the
/// approval is, and whoever the Node belongs to by now.
///
/// # Errors
/// When the node may not be disrupted.
pub fn next_write(
    what: Disruption,
    shadow: &Shadow,
    node: &NodeFacts,
    unchecked: bool,
    now: Timestamp,
) -> Result<NextWrite, NotAllowed> {
    owned(shadow, node)?;
    let record = readable(node)?;
    let Some(approval) = shadow.desired.approval() else {
        return originals_next_write(what, shadow, node, record, now);
    };
    let expiry = shadow.desired.disrupt_not_after;
    let in_time = expiry.is_some_and(|expiry| expiry.duration_since(now) >= WRITE_DEADLINE);
    match record {
        Some(record) if record.approval == approval => {
            if unchecked {
                may_begin(node, in_time)?;
            }
            vetoed(record, node)?;
            Ok(towards(what, record, node, now))
        }
        earlier => {
            may_begin(node, in_time)?;
            let ours = earlier.is_some_and(|record| record.cordoned);
            let wanted = node.update_now.as_deref().is_some_and(|version| version == approval.version.to_string());
            if node.unschedulable && !ours && !wanted {
                return Err(NotAllowed::CordonedBefore);
            }
            Ok(NextWrite::Record(begin(approval, earlier, node, now)))
        }
    }
}

/// The next write where the original operator wrote the shadow's spec, which allows nothing to begin: only what that operator has
/// begun goes on.
fn originals_next_write(
    what: Disruption,
    shadow: &Shadow,
    node: &NodeFacts,
    record: Option<&DisruptionRecord>,
    now: Timestamp,
) -> Result<NextWrite, NotAllowed> {
    let no_approval = NotAllowed::NoApproval(shadow.desired.state);
    let Some(approval) = originals_approval(&shadow.desired) else {
        return Err(no_approval);
    };
    match record {
        Some(record) if record.approval == approval && (record.cordoned || record.excluded) => {
            vetoed(record, node)?;
            Ok(towards(what, record, node, now))
        }
        Some(_) => Err(no_approval),
        None => adopted(shadow, node, now).map(NextWrite::Record).ok_or(no_approval),
    }
}

/// The record under which an open drain may go on.
///
/// # Errors
/// When it may not.
pub fn may_continue<'a>(shadow: &Shadow, node: &'a NodeFacts) -> Result<&'a DisruptionRecord, NotAllowed> {
    owned(shadow, node)?;
    let desired = &shadow.desired;
    let approval =
        desired.approval().or_else(|| originals_approval(desired)).ok_or(NotAllowed::NoApproval(desired.state))?;
    let record = readable(node)?.filter(|record| record.approval == approval && record.cordoned);
    let record = record.ok_or(NotAllowed::NotBegun)?;
    vetoed(record, node)?;
    Ok(record)
}

/// What to undo after a refusal: the record this very call wrote (`written`, over `before`), or one that names no
/// present approval and under which nothing was done. `None` when there is nothing, or somebody has acted on it.
#[must_use]
pub fn leftover(
    shadow: &Shadow,
    node: &NodeFacts,
    written: Option<&DisruptionRecord>,
    before: Option<&DisruptionRecord>,
) -> Option<Change> {
    let record = node.record.as_ref().ok()?.as_ref()?;
    if written == Some(record) {
        // Adopted: what it tells of was there before it, and is to be undone some day.
        let tells_of_more = before.is_none() && (record.cordoned || record.excluded);
        return (!tells_of_more).then(|| Change::record(before.cloned()));
    }
    let idle = !record.cordoned && !record.excluded && shadow.desired.approval().as_ref() != Some(&record.approval);
    idle.then(|| Change::record(None))
}

/// What must hold until something was done under the record of an approval.
fn may_begin(node: &NodeFacts, in_time: bool) -> Result<(), NotAllowed> {
    match (node.managed, in_time) {
        (false, _) => Err(NotAllowed::Unmanaged),
        (true, false) => Err(NotAllowed::Expired),
        (true, true) => Ok(()),
    }
}

fn owned(shadow: &Shadow, node: &NodeFacts) -> Result<(), NotAllowed> {
    if shadow.node == node.id { Ok(()) } else { Err(NotAllowed::NotOwned) }
}

fn readable(node: &NodeFacts) -> Result<Option<&DisruptionRecord>, NotAllowed> {
    let record = node.record.as_ref();
    record.map(Option::as_ref).map_err(|error| NotAllowed::Unreadable(error.to_string()))
}

fn vetoed(record: &DisruptionRecord, node: &NodeFacts) -> Result<(), NotAllowed> {
    if record.cordoned && !node.unschedulable {
        return Err(NotAllowed::Vetoed { drain: record.drain_began });
    }
    Ok(())
}

/// The record that begins the disruption of `approval`. What an earlier disruption did to the Node, and has not undone, stays
/// recorded with what was there before it.
fn begin(
    approval: ApprovalId,
    earlier: Option<&DisruptionRecord>,
    node: &NodeFacts,
    now: Timestamp,
) -> DisruptionRecord {
    let mut record = DisruptionRecord::first(approval, now, node.unschedulable, node.exclusion.clone());
    if let Some(earlier) = earlier {
        if earlier.cordoned && node.unschedulable {
            record.cordoned = true;
            record.cordoned_before = earlier.cordoned_before;
        }
        if earlier.excluded && node.exclusion.is_some() {
            record.excluded = true;
            record.exclusion_before.clone_from(&earlier.exclusion_before);
        }
    }
    record
}

fn towards(what: Disruption, record: &DisruptionRecord, node: &NodeFacts, now: Timestamp) -> NextWrite {
    let mut after = record.clone();
    match what {
        Disruption::Exclusion if record.excluded && node.exclusion.is_some() => NextWrite::Nothing(after),
        Disruption::Exclusion => {
            if !record.excluded {
                // Somebody has set it since our record was written, so it stays.
                after.exclusion_before.clone_from(&node.exclusion);
            }
            after.excluded = true;
            NextWrite::Change(Change {
                record: Some(after),
                unschedulable: None,
                exclusion: Some(Some(node.exclusion.clone().unwrap_or_else(|| EXCLUDED.to_owned()))),
            })
        }
        Disruption::Cordon if record.cordoned && record.drain_began.is_some() => NextWrite::Nothing(after),
        Disruption::Cordon => {
            if !record.cordoned {
                after.cordoned_before = node.unschedulable;
            }
            after.cordoned = true;
            after.drain_began = record.drain_began.or(Some(now));
            NextWrite::Change(Change { record: Some(after), unschedulable: Some(true), exclusion: None })
        }
    }
}
