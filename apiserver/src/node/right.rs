//! Whether a node may be disrupted now, and what the next write is.
//!
//! A disruption begins with a mark that names its go; only after that was written is the shadow read again, and only when
//! the go is still there is anything done. Whoever withdraws a go writes the shadow first and reads the Node after that:
//! so one of the two sees the other.

use api::wire::Reason;
use api::{GoId, Marks, Shadow, State};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::adopt::{adopted, originals_go};
use super::facts::{Change, NodeFacts};

/// What must be left of a go when something is done under it for the first time: the longest a write may take, so that it
/// does not land after the go's expiry.
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
    Mark(Marks),
    /// Do it.
    Act(Change),
    /// It is done, under these marks.
    Done(Marks),
}

/// Why a node may not be disrupted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoRight {
    /// The shadow is that of a Node which was there before.
    #[error("the shadow belongs to another Node of this name")]
    NotOwned,
    /// There is no go.
    #[error("there is no go: the node is asked to be {}", .0.as_str())]
    NoGo(State),
    /// It has expired, or is about to.
    #[error("the go has expired or is about to")]
    Expired,
    /// The Node was taken out of the operator's hands.
    #[error("the node is not managed by the operator")]
    Unmanaged,
    /// What is marked on the Node is another disruption.
    #[error("the disruption of this go has not begun")]
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
            | Self::NoGo(_)
            | Self::Expired
            | Self::Unmanaged
            | Self::NotBegun
            | Self::CordonedBefore
            | Self::Unreadable(_) => Reason::NoGo,
        }
    }
}

/// The next step towards `goal`. `unchecked` says that the present mark was written by this very call and no go has been
/// seen since: then the go must still be valid and the Node managed. Otherwise a mark of the go is enough, however old the
/// go is, and whoever the Node belongs to by now.
///
/// # Errors
/// When the node may not be disrupted.
pub fn step(goal: Goal, shadow: &Shadow, node: &NodeFacts, unchecked: bool, now: Timestamp) -> Result<Step, NoRight> {
    owned(shadow, node)?;
    let marks = readable(node)?;
    let Some(go) = shadow.order.go() else {
        return originals_step(goal, shadow, node, marks, now);
    };
    let expiry = shadow.order.disrupt_not_after;
    let in_time = expiry.is_some_and(|expiry| expiry.duration_since(now) >= WRITE_DEADLINE);
    match marks {
        Some(marks) if marks.go == go => {
            if unchecked {
                may_begin(node, in_time)?;
            }
            vetoed(marks, node)?;
            Ok(towards(goal, marks, node, now))
        }
        earlier => {
            may_begin(node, in_time)?;
            let ours = earlier.is_some_and(|marks| marks.cordoned);
            let wanted = node.update_now.as_deref().is_some_and(|version| version == go.version.to_string());
            if node.unschedulable && !ours && !wanted {
                return Err(NoRight::CordonedBefore);
            }
            Ok(Step::Mark(begin(go, earlier, node, now)))
        }
    }
}

/// The next step under an order of the original operator, which gives no right to begin: only what that operator has begun
/// goes on.
fn originals_step(
    goal: Goal,
    shadow: &Shadow,
    node: &NodeFacts,
    marks: Option<&Marks>,
    now: Timestamp,
) -> Result<Step, NoRight> {
    let no_go = NoRight::NoGo(shadow.order.state);
    let Some(go) = originals_go(&shadow.order) else {
        return Err(no_go);
    };
    match marks {
        Some(marks) if marks.go == go && (marks.cordoned || marks.excluded) => {
            vetoed(marks, node)?;
            Ok(towards(goal, marks, node, now))
        }
        Some(_) => Err(no_go),
        None => adopted(shadow, node, now).map(Step::Mark).ok_or(no_go),
    }
}

/// The marks under which an open drain may go on.
///
/// # Errors
/// When it may not.
pub fn may_continue<'a>(shadow: &Shadow, node: &'a NodeFacts) -> Result<&'a Marks, NoRight> {
    owned(shadow, node)?;
    let order = &shadow.order;
    let go = order.go().or_else(|| originals_go(order)).ok_or(NoRight::NoGo(order.state))?;
    let marks = readable(node)?.filter(|marks| marks.go == go && marks.cordoned);
    let marks = marks.ok_or(NoRight::NotBegun)?;
    vetoed(marks, node)?;
    Ok(marks)
}

/// What to take back after a refusal: the mark this very call wrote (`written`, over `before`), or one that names no
/// present go and under which nothing was done. `None` when there is nothing, or somebody has acted on it.
#[must_use]
pub fn leftover(shadow: &Shadow, node: &NodeFacts, written: Option<&Marks>, before: Option<&Marks>) -> Option<Change> {
    let marks = node.marks.as_ref().ok()?.as_ref()?;
    if written == Some(marks) {
        // Adopted: what they tell of was there before them, and is to be undone some day.
        let tells_of_more = before.is_none() && (marks.cordoned || marks.excluded);
        return (!tells_of_more).then(|| Change::marks(before.cloned()));
    }
    let idle = !marks.cordoned && !marks.excluded && shadow.order.go().as_ref() != Some(&marks.go);
    idle.then(|| Change::marks(None))
}

/// What holds until something was done under the mark of a go.
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

fn readable(node: &NodeFacts) -> Result<Option<&Marks>, NoRight> {
    let marks = node.marks.as_ref();
    marks.map(Option::as_ref).map_err(|error| NoRight::Unreadable(error.to_string()))
}

fn vetoed(marks: &Marks, node: &NodeFacts) -> Result<(), NoRight> {
    if marks.cordoned && !node.unschedulable {
        return Err(NoRight::Vetoed { drain: marks.drain_began });
    }
    Ok(())
}

/// The mark that begins the disruption of `go`. What an earlier disruption did to the Node, and has not undone, stays
/// recorded with what was there before it.
fn begin(go: GoId, earlier: Option<&Marks>, node: &NodeFacts, now: Timestamp) -> Marks {
    let mut marks = Marks::first(go, now, node.unschedulable, node.exclusion.clone());
    if let Some(earlier) = earlier {
        if earlier.cordoned && node.unschedulable {
            marks.cordoned = true;
            marks.cordoned_before = earlier.cordoned_before;
        }
        if earlier.excluded && node.exclusion.is_some() {
            marks.excluded = true;
            marks.exclusion_before.clone_from(&earlier.exclusion_before);
        }
    }
    marks
}

fn towards(goal: Goal, marks: &Marks, node: &NodeFacts, now: Timestamp) -> Step {
    let mut after = marks.clone();
    match goal {
        Goal::Exclude if marks.excluded && node.exclusion.is_some() => Step::Done(after),
        Goal::Exclude => {
            if !marks.excluded {
                // Set by somebody since our mark: theirs, and it stays.
                after.exclusion_before.clone_from(&node.exclusion);
            }
            after.excluded = true;
            Step::Act(Change {
                marks: Some(after),
                unschedulable: None,
                exclusion: Some(Some(node.exclusion.clone().unwrap_or_else(|| EXCLUDED.to_owned()))),
            })
        }
        Goal::Cordon if marks.cordoned && marks.drain_began.is_some() => Step::Done(after),
        Goal::Cordon => {
            if !marks.cordoned {
                after.cordoned_before = node.unschedulable;
            }
            after.cordoned = true;
            after.drain_began = marks.drain_began.or(Some(now));
            Step::Act(Change { marks: Some(after), unschedulable: Some(true), exclusion: None })
        }
    }
}
