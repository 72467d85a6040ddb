//! What may be done to a Node: the rules, without I/O.

mod adopt;
mod disruption;
mod facts;
mod lock;
mod next_write;
#[cfg(test)]
mod next_write_tests;
mod not_allowed;
mod restore;
#[cfg(test)]
pub(crate) mod samples;
mod unattended;

pub use adopt::{adopted, originals_approval};
pub use disruption::Disruption;
pub use facts::{Change, NodeFacts, UnreadableNode, is_managed};
pub use lock::{LockRecord, lock_patch, lock_record};
pub use next_write::{NextWrite, WRITE_DEADLINE, leftover, may_continue, next_write};
pub use not_allowed::NotAllowed;
pub use restore::{NotRestored, all_restored, restored};
pub use unattended::{Attended, RecordedNode, Unattended, unattended};
