//! Whether a node may be disrupted now, and what the next write is.
//!
//! A disruption begins with a mark that names its approval; only after that was written is the shadow read again, and only when
//! the approval is still there is anything done. Whoever withdraws an approval writes the shadow first and reads the Node after that:
//! so one of the two sees the other.

use api::wire::Reason;
use api::{ApprovalId, DisruptionRecord, Shadow, State};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::adopt::{adopted, originals_approval};
use super::facts::{Change, NodeFacts};
use crate::refusal::Refusal;

/// What must be left of an approval when something is done under it for the first time: the longest a write may take, so that it
/// does not land after the approval's expiry.
pub const WRITE_DEADLINE: SignedDuration = SignedDuration::from_secs(5);

/// The label's value where we set it; what counts is that it is there.
const EXCLUDED: &str = "true";

/// What an agent asks to have done to its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Taken out of the load balancers.
    Exclude,
    /// Cordoned, with the drain's clock running.
    Cordon,
}

/// The next thing to do towards a [`Goal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the mark; then read the shadow again.
    Mark(DisruptionRecord),
    /// Do it.
    Act(Change),
    /// It is done, under these marks.
    Done(DisruptionRecord),
}

/// Why a node may not be disrupted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoRight {
    /// The shadow is that of a Node which was there before.
    #[error("the shadow belongs to another Node of this name")]
    NotOwned,
    /// There is no approval.
    #[error("there is no approval: the node is asked to be {}", .0.as_str())]
    NoApproval(State),
    /// It has expired, or is about to.
    #[error("the approval has expired or is about to")]
    Expired,
    /// The Node was taken out of the operator's hands.
    #[error("the node is not managed by the operator")]
    Unmanaged,
    /// What is marked on the Node is another disruption.
    #[error("the disruption of this approval has not begun")]
    NotBegun,
    /// An administrator cordoned the node before.
    #[error("somebody else has cordoned the node")]
    CordonedBefore,
    /// An administrator uncordoned it during the disruption.
    #[error("somebody uncordoned the node while it was disrupted")]
    Vetoed {
        /// When the drain began that this ends.
        drain: Option<Timestamp>,
    },
    /// The marks or the shadow cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl NoRight {
    /// The word for programs.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Vetoed { .. } => Reason::Vetoed,
            Self::NotOwned
            | Self::NoApproval(_)
            | Self::Expired
            | Self::Unmanaged
            | Self::NotBegun
            | Self::CordonedBefore
            | Self::Unreadable(_) => Reason::NoApproval,
        }
    }
}

impl From<NoRight> for Refusal {
    fn from(no_right: NoRight) -> Self {
        Self::new(no_right.reason(), no_right.to_string())
    }
}

/// The next step towards `goal`. `unchecked` says that the present mark was written by this very call and no approval has been
/// seen since: then the approval must still be valid and the Node managed. Otherwise a mark of the approval is enough, however old the
/// go is, and whoever the Node belongs to by now.
///
/// # Errors
/// When the node may not be disrupted.
pub fn step(goal: Goal, shadow: &Shadow, node: &NodeFacts, unchecked: bool, now: Timestamp) -> Result<Step, NoRight> {
    owned(shadow, node)?;
    let record = readable(node)?;
    let Some(approval) = shadow.desired.approval() else {
        return originals_step(goal, shadow, node, record, now);
    };
    let expiry = shadow.desired.disrupt_not_after;
    let in_time = expiry.is_some_and(|expiry| expiry.duration_since(now) >= WRITE_DEADLINE);
    match record {
        Some(record) if record.approval == approval => {
            if unchecked {
                may_begin(node, in_time)?;
            }
            vetoed(record, node)?;
            Ok(towards(goal, record, node, now))
        }
        earlier => {
            may_begin(node, in_time)?;
            let ours = earlier.is_some_and(|record| record.cordoned);
            let wanted = node.update_now.as_deref().is_some_and(|version| version == approval.version.to_string());
            if node.unschedulable && !ours && !wanted {
                return Err(NoRight::CordonedBefore);
            }
            Ok(Step::Mark(begin(approval, earlier, node, now)))
        }
    }
}

/// The next step under an order of the original operator, which gives no right to begin: only what that operator has begun
/// goes on.
fn originals_step(
    goal: Goal,
    shadow: &Shadow,
    node: &NodeFacts,
    record: Option<&DisruptionRecord>,
    now: Timestamp,
) -> Result<Step, NoRight> {
    let no_approval = NoRight::NoApproval(shadow.desired.state);
    let Some(approval) = originals_approval(&shadow.desired) else {
        return Err(no_approval);
    };
    match record {
        Some(record) if record.approval == approval && (record.cordoned || record.excluded) => {
            vetoed(record, node)?;
            Ok(towards(goal, record, node, now))
        }
        Some(_) => Err(no_approval),
        None => adopted(shadow, node, now).map(Step::Mark).ok_or(no_approval),
    }
}

/// The marks under which an open drain may go on.
///
/// # Errors
/// When it may not.
pub fn may_continue<'a>(shadow: &Shadow, node: &'a NodeFacts) -> Result<&'a DisruptionRecord, NoRight> {
    owned(shadow, node)?;
    let desired = &shadow.desired;
    let approval =
        desired.approval().or_else(|| originals_approval(desired)).ok_or(NoRight::NoApproval(desired.state))?;
    let record = readable(node)?.filter(|record| record.approval == approval && record.cordoned);
    let record = record.ok_or(NoRight::NotBegun)?;
    vetoed(record, node)?;
    Ok(record)
}

/// What to take back after a refusal: the mark this very call wrote (`written`, over `before`), or one that names no
/// present go and under which nothing was done. `None` when there is nothing, or somebody has acted on it.
#[must_use]
pub fn leftover(
    shadow: &Shadow,
    node: &NodeFacts,
    written: Option<&DisruptionRecord>,
    before: Option<&DisruptionRecord>,
) -> Option<Change> {
    let record = node.record.as_ref().ok()?.as_ref()?;
    if written == Some(record) {
        // Adopted: what they tell of was there before them, and is to be undone some day.
        let tells_of_more = before.is_none() && (record.cordoned || record.excluded);
        return (!tells_of_more).then(|| Change::record(before.cloned()));
    }
    let idle = !record.cordoned && !record.excluded && shadow.desired.approval().as_ref() != Some(&record.approval);
    idle.then(|| Change::record(None))
}

/// What holds until something was done under the mark of an approval.
fn may_begin(node: &NodeFacts, in_time: bool) -> Result<(), NoRight> {
    match (node.managed, in_time) {
        (false, _) => Err(NoRight::Unmanaged),
        (true, false) => Err(NoRight::Expired),
        (true, true) => Ok(()),
    }
}

fn owned(shadow: &Shadow, node: &NodeFacts) -> Result<(), NoRight> {
    if shadow.node == node.id { Ok(()) } else { Err(NoRight::NotOwned) }
}

fn readable(node: &NodeFacts) -> Result<Option<&DisruptionRecord>, NoRight> {
    let record = node.record.as_ref();
    record.map(Option::as_ref).map_err(|error| NoRight::Unreadable(error.to_string()))
}

fn vetoed(record: &DisruptionRecord, node: &NodeFacts) -> Result<(), NoRight> {
    if record.cordoned && !node.unschedulable {
        return Err(NoRight::Vetoed { drain: record.drain_began });
    }
    Ok(())
}

/// The mark that begins the disruption of `go`. What an earlier disruption did to the Node, and has not undone, stays
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

fn towards(goal: Goal, record: &DisruptionRecord, node: &NodeFacts, now: Timestamp) -> Step {
    let mut after = record.clone();
    match goal {
        Goal::Exclude if record.excluded && node.exclusion.is_some() => Step::Done(after),
        Goal::Exclude => {
            if !record.excluded {
                // Set by somebody since our mark: theirs, and it stays.
                after.exclusion_before.clone_from(&node.exclusion);
            }
            after.excluded = true;
            Step::Act(Change {
                record: Some(after),
                unschedulable: None,
                exclusion: Some(Some(node.exclusion.clone().unwrap_or_else(|| EXCLUDED.to_owned()))),
            })
        }
        Goal::Cordon if record.cordoned && record.drain_began.is_some() => Step::Done(after),
        Goal::Cordon => {
            if !record.cordoned {
                after.cordoned_before = node.unschedulable;
            }
            after.cordoned = true;
            after.drain_began = record.drain_began.or(Some(now));
            Step::Act(Change { record: Some(after), unschedulable: Some(true), exclusion: None })
        }
    }
}
