//! What may be done to a Node: the rules, without I/O.

mod adopt;
mod facts;
mod lock;
mod restore;
mod right;
#[cfg(test)]
mod right_tests;
#[cfg(test)]
pub(crate) mod samples;
mod unattended;

pub use adopt::{adopted, originals_approval};
pub use facts::{Change, NodeFacts, UnreadableNode, is_managed};
pub use lock::{LockRecord, lock_patch, lock_record};
pub use restore::{NotGivingBack, Restore, give_back, undo_all};
pub use right::{Goal, NoRight, Step, WRITE_DEADLINE, leftover, may_continue, step};
pub use unattended::{Attended, Standing, Unattended, unattended};
