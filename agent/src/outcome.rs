//! What came of a step, as data. Performing it decides nothing; [`crate::memory::Memory::learn`] draws the conclusions.

use api::Shadow;
use api::wire::DrainProgress;

/// What the host answered to an action or to the request to reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It has begun.
    Started,
    /// Another command holds the lock.
    Busy,
    /// The host's update state does not allow it.
    NotAllowed,
    /// What it was about is gone.
    Gone(String),
    /// The image was built without in-place updates.
    Unsupported(String),
    /// It could not be started.
    Failed(String),
    /// No answer, or none that can be read: it may or may not have begun.
    NoAnswer(String),
}

/// What the apiserver answered to cordon-and-drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drained {
    /// The node is cordoned and empty, or excluded.
    Done,
    /// Not yet.
    Progress(DrainProgress),
    /// There is no approval for it, or no longer.
    NoApproval,
    /// Somebody uncordoned the node.
    Vetoed,
    /// It did not end in time.
    TimedOut,
    /// The desired state changed meanwhile, and the request was dropped.
    Interrupted,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Waited, until the time was over or the shadow changed.
    Waited,
    /// The shadow as the apiserver now has it, after it was created, read or reported to.
    Shadow(Option<Box<Shadow>>),
    /// The shadow is newer than what the report was computed from.
    Conflict,
    /// An action of the host was asked for.
    Asked(Asked),
    /// The host's version-lock; where it was to be set and is not what it was, nothing was done.
    Lock(String),
    /// The version-lock is set.
    LockSet,
    /// The version-lock could not be read or set.
    LockFailed(String),
    /// The exclusion or the drain was asked for.
    Drained(Drained),
    /// The node is restored.
    Restored,
    /// The apiserver does not see yet that it is to be restored.
    NotRestoring,
    /// The apiserver could not be reached, or refused.
    CallFailed(String),
}
