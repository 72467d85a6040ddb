//! Benchmarks on the real control plane. They print figures and judge none; [`admission`] is `cargo bench-admission`.
//!
//! `cargo bench-agent`: what an agent costs a node, beside an agent of the original operator on another node of the same
//! fleet. The programs are those for release, whatever this one is built as.
//!
//! ```text
//! Fleet (one node each, taps before the apiserver) ─► idle window ─► publish ─► follow both updates ─► table
//!                       footprint: /proc of the agent's process, ten times a second
//! ```

pub mod admission;
mod agent;
pub mod apiserver;
mod args;
mod duration;
mod follow;
mod footprint;
pub mod hostile;
mod latency;
mod quantiles;
mod table;

pub use agent::run;
pub use args::Args;
