//! What to write now, and why nothing is written for the rest.
//!
//! [`plan`] is a function of one [`Snapshot`]: the same snapshot gives the same plan, and a cluster in which nothing is left
//! to do gives an empty one. It is a list of named steps over one draft; each step lives in a file of its own.
//!
//! Rooms for what is not there yet: when a policy lets anything begin at all (a schedule, a halt) belongs beside the pause in
//! `eligible::forbids`, which starts and gos both ask; which version is taken in `eligible::wanted`; what counts as healthy in
//! the gate of `advance`; a verdict on a node that missed its `deadline` in a step between `advance` and `retreat`.

mod abort;
mod advance;
mod backoff;
mod budget;
mod cleanup;
mod deadline;
mod draft;
mod eligible;
mod go;
mod in_flight;
mod order;
mod ownership;
mod phase;
mod retreat;
mod settings;
mod situation;
mod start;
mod topology;
mod unavailable;

use std::collections::BTreeMap;

use api::HoldReason;
use jiff::Timestamp;
use semver::Version;

use crate::{action::Action, snapshot::Snapshot};
use draft::Draft;
pub use in_flight::in_flight;

/// What to write now, and why nothing is written for the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The writes, at most one for each shadow.
    pub actions: Vec<Action>,
    /// Where every managed node stands, by name.
    pub nodes: BTreeMap<String, Standing>,
    /// What would start if nothing but the pause were lifted, by policy.
    pub next: BTreeMap<String, Vec<(String, Version)>>,
    /// The most nodes that may be in flight, by policy; nothing where there is no limit.
    pub limits: BTreeMap<String, usize>,
    /// When time alone will change the plan.
    pub wake_at: Option<Timestamp>,
}

/// Where one node stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The policy that applies to it; several when they conflict.
    pub owners: Vec<String>,
    /// Whether it is in flight.
    pub in_flight: bool,
    /// Whether it runs the version it should.
    pub up_to_date: bool,
    /// Why it does not move.
    pub hold: Option<Hold>,
}

/// Why a node does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The typed reason.
    pub reason: HoldReason,
    /// One sentence. It must not carry numbers that change without a change for this node: each new text is a write.
    pub message: String,
}

impl Hold {
    fn new(reason: HoldReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Decides what to write now.
#[must_use]
pub fn plan(snapshot: &Snapshot) -> Plan {
    let mut draft = Draft::new(snapshot);
    cleanup::delete_orphans(&mut draft);
    abort::break_off_what_is_held(&mut draft);
    advance::finish_what_is_under_way(&mut draft);
    retreat::return_what_became_ineligible(&mut draft);
    go::give_and_take_back(&mut draft);
    settings::follow_edits(&mut draft);
    start::begin(&mut draft);
    advance::hold_the_silent(&mut draft);
    advance::hold_the_locked(&mut draft);
    advance::rest(&mut draft);
    draft.finish()
}
