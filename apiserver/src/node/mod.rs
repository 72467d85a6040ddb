//! What may be done to a Node, and doing it.

mod adopt;
mod attend;
mod disrupt;
mod facts;
mod give_back;
mod lock;
mod restore;
mod right;
#[cfg(test)]
mod right_tests;
#[cfg(test)]
pub(crate) mod samples;
mod unattended;

pub use adopt::{adopted, originals_approval};
pub use attend::attend;
pub use disrupt::{NotDisrupted, disrupt, read_both, read_node};
pub use facts::{Change, NodeFacts, UnreadableNode};
pub use give_back::{NotGivingBack, Restore, give_back};
pub use lock::{LockRecord, lock_record, record_lock};
pub use restore::restore;
pub use right::{Goal, NoRight, Step, WRITE_DEADLINE, leftover, may_continue, step};
pub use unattended::{Attended, Standing, Unattended, unattended};
