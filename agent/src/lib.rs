//! Drives one Bottlerocket node through its updates.
//!
//! ```text
//! shadow (long poll)       ─┐
//! host (update API)         ─┼─► Observation ─► next_step() ─► Step ─► performer ─► Outcome
//! boot id                   ─┤                                        (host | apiserver)  │
//! memory ◄──────────────────┴──────────────────────── learn ◄─────────────────────────────┘
//! ```
//!
//! `updates`, `observe`, `memory`, `outcome`, `progress` and `step` are the core: functions of data, without I/O
//! and without a clock. The others are its edge. There is no Kubernetes client in here: everything an agent may do to the
//! cluster, it asks the apiserver for.

pub mod apiserver;
pub mod args;
pub mod contact;
pub mod cycle;
pub mod host;
pub mod http;
pub mod lock;
pub mod memory;
pub mod metrics;
pub mod observe;
pub mod outcome;
pub mod performer;
pub mod progress;
pub mod run;
pub mod shadow;
pub mod step;
pub mod updates;
