//! The apiserver: the only program that touches Nodes and pods, on behalf of the agent of the node concerned.
//!
//! ```text
//! request ─► routes ─► operations ─┬─► authenticate  (who is calling?)
//!                                  ├─► disrupt       (record, exclude, cordon)
//!                                  ├─► drain         (select, evict, wait)
//!                                  └─► restore       (include, uncordon)
//!                                       each: facts read from the cluster ─► a rule ─► one conditional write
//! watch of Nodes ─► recorded_nodes ─► operations::attend  (restore what no agent restores)
//! drain, attend ─► node_events ─► Events on the Node
//! ```
//!
//! The rules are `caller`, `preferences`, `identity::{claims, token_claims, confidence, authorize}`, `node`, `shadow::{fresh, report}` and
//! `drain::{select, answer, tracker}`: no I/O, no clock. Imports go one way: run, routes, operations, app, what it holds, the rules,
//! `refusal`, `cluster`.

pub mod app;
pub mod args;
pub mod caller;
pub mod client;
pub mod cluster;
pub mod drain;
pub mod identity;
pub mod keyed;
pub mod metrics;
pub mod node;
pub mod node_events;
pub mod open_requests;
pub mod operations;
pub mod preferences;
pub mod recorded_nodes;
pub mod refusal;
pub mod router;
pub mod routes;
pub mod run;
pub mod shadow;
pub mod token;
pub mod watch;
