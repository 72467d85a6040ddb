//! The controller: decides who is updated when, over one snapshot of the whole cluster, and writes shadows' specs.
//!
//! ```text
//! watch --> snapshot --> plan() --> check() --> execute --> publish
//!              ^                                   |
//!              +---------- own_writes -------------+   (until a watch shows them)
//! ```
//!
//! `snapshot`, `plan`, `check`, `own_writes`, `status`, `shadow_status`, `events` and `leadership` are functions of data: no clock, no client, no
//! environment. `watch`, `list`, `execute`, `publish`, `recorder`, `lease` and `run` are the edge and choose nothing.

pub mod action;
pub mod args;
pub mod check;
pub mod events;
mod execute;
pub mod leadership;
mod lease;
mod list;
mod metrics;
pub mod own_writes;
pub mod plan;
mod publish;
mod recorder;
pub mod report;
mod run;
pub mod shadow_status;
pub mod snapshot;
pub mod status;
mod watch;
mod write;

pub use args::Args;
pub use run::run;
