//! Drives one Bottlerocket node through its updates.
//!
//! ```text
//! feed (shadow, long poll) ─┐
//! host (update API)        ─┼─► Observation ─► next_step() ─► Step ─► perform ─► Outcome
//! boot id                  ─┤                                          (host | apiserver) │
//! memory ◄──────────────────┴─────────────────────── learn ◄──────────────────────────────┘
//! ```
//!
//! `updates`, `observe`, `memory`, `outcome`, `progress`, `step` and `status` are the core: functions of data, without I/O
//! and without a clock. The others are its edge. There is no Kubernetes client in here: everything an agent may do to the
//! cluster, it asks the apiserver for.

pub mod apiserver;
pub mod args;
pub mod contact;
pub mod cycle;
pub mod feed;
pub mod host;
pub mod http;
pub mod lock;
pub mod memory;
pub mod metrics;
pub mod observe;
pub mod outcome;
pub mod perform;
pub mod progress;
pub mod run;
pub mod status;
pub mod step;
pub mod updates;
