//! An observer that watches a cluster from outside the programs and reports every breach of the rollout's invariants.
//!
//! ```text
//! watch ─► merge ─► judge { limits, windows, versions, beginning, restore, reboots, budgets } ─► Breach
//!                     ├─► cluster, in_flight, runs, views, memory   what the rules look at
//!                     └─► peaks, timeline, writes             what the report adds
//! Observer ─► start, host_event, settle, report                what tests and the demo hold
//! ```
//!
//! The watches of different kinds are not ordered against each other, but all objects of a cluster are in one etcd, whose
//! revisions their resourceVersions are. [`HOLD`] is how long an event waits for those that were written before it; the
//! judge then sees all kinds in the order in which they were written. Where a program decides on what it saw a moment ago
//! (a policy's edit, a label, an agent's readiness), [`GRACE`] is how old its view may be.
//!
//! The rules read the objects with the `api` types, and share nothing else with the programs that they judge.
//!
//! What the judge cannot see: requests that were refused or changed nothing (the audit log has them), who deleted a pod
//! (a deletion of a pod that counts for a budget on a node being drained is taken for the operator's), and what happened
//! while a watch was broken. The report says how often that was the case.

mod beginning;
mod breach;
mod budgets;
mod cluster;
mod event;
mod facts;
mod handle;
mod in_flight;
mod judge;
mod limits;
mod memory;
mod merge;
mod owner;
mod peaks;
mod pods;
mod reboots;
mod report;
mod restore;
mod runs;
#[cfg(test)]
mod samples;
mod spec_change;
#[cfg(test)]
mod tests;
mod timeline;
mod versions;
mod views;
mod watch;
mod windows;
mod writes;

pub use breach::{Breach, Rule};
pub use event::{Change, Event, HostChange, Seen};
pub use facts::{BudgetFacts, NodeFacts, PodFacts, PolicyFacts, ShadowFacts};
pub use handle::{Observer, Position};
pub use judge::Judge;
pub use peaks::{Peak, Peaks};
pub use report::{Gap, Report};
pub use timeline::{Entry, Timeline};
pub use writes::Write;

use jiff::SignedDuration;

/// How long an event waits for others that were written before it. Watches of one API server are milliseconds apart; a busy
/// machine makes that a few hundred.
pub const HOLD: SignedDuration = SignedDuration::from_secs(1);

/// How old the view may be on which a program decides: an edit that is younger may not have reached it.
pub const GRACE: SignedDuration = SignedDuration::from_secs(2);
