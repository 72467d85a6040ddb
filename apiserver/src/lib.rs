//! The apiserver: the only program that touches Nodes and pods, on behalf of the agent of the node concerned.
//!
//! ```text
//! request ─► identity ─► routes ─┬─► shadow  (create, read, report)
//!                                ├─► node    (mark, exclude, cordon; give back)
//!                                └─► drain   (select, evict, wait)
//!                                     each: facts read from the cluster ─► a rule ─► one conditional write
//! watch of Nodes ─► marked ─► node::attend  (give back what no agent gives back)
//! drain, node::attend ─► notices ─► Events on the Node
//! ```
//!
//! The rules are `caller`, `preferences`, `identity::{claims, token_claims, standing, authorize}`, `node::{facts, right, give_back, unattended}`,
//! `shadow::{fresh, report}` and `drain::{select, answer, tracker}`: no I/O, no clock.

pub mod app;
pub mod args;
pub mod caller;
pub mod client;
pub mod cluster;
pub mod drain;
pub mod identity;
pub mod in_flight;
pub mod keyed;
pub mod marked;
pub mod metrics;
pub mod node;
pub mod notices;
pub mod preferences;
pub mod refusal;
pub mod router;
pub mod routes;
pub mod run;
pub mod shadow;
pub mod token;
pub mod watch;
