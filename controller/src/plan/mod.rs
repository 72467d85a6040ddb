//! What to write now, and why nothing is written for the rest.
//!
//! [`plan`] is a function of one [`Snapshot`]: the same snapshot gives the same plan, and a cluster in which nothing is left
//! to do gives an empty one. It is a list of named steps over one draft; each step lives in a file of its own.
//!
//! Where a rule is: what stands in one node's way in `eligible`, how many may go at once in `budget`, when in `window`, which
//! version in `releases`, what counts as healthy in `gate`, who has failed in `verdict`, and what follows for the others in `halt`.

mod abort;
mod advance;
mod approval;
mod backoff;
mod booted;
mod budget;
mod cleanup;
mod deadline;
mod digest;
mod draft;
mod eligible;
mod gate;
mod halt;
mod in_flight;
mod offers;
mod order;
mod ownership;
mod phase;
mod releases;
mod retreat;
mod settings;
mod situation;
mod standing;
mod start;
mod survey;
mod topology;
mod unavailable;
mod verdict;
mod window;

use std::collections::BTreeMap;

use api::{HoldReason, shadow::Observed};
use jiff::Timestamp;
use semver::Version;

use crate::{action::Action, snapshot::Snapshot};
pub use booted::{Booted, CONDITION as BOOTED};
use draft::Draft;
pub use in_flight::in_flight;
pub use releases::Release;
pub use standing::Standing;
pub use window::Window;

/// What to write now, and why nothing is written for the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The writes, at most one for each shadow.
    pub actions: Vec<Action>,
    /// Where every managed node stands, by name.
    pub nodes: BTreeMap<String, Standing>,
    /// What would start if nothing but the pause were lifted, by policy.
    pub next: BTreeMap<String, Vec<(String, Version)>>,
    /// How many nodes are in flight, by the policies whose limits they count for; nothing where none is.
    pub in_flight: BTreeMap<String, usize>,
    /// The most nodes that may be in flight, by policy; nothing where there is no limit.
    pub limits: BTreeMap<String, usize>,
    /// Whether the schedule is open, by policy; nothing of a policy that cannot be followed.
    pub windows: BTreeMap<String, Window>,
    /// What is known of each version, by policy.
    pub releases: BTreeMap<String, BTreeMap<Version, Release>>,
    /// Which nodes failed on which version, as a sentence, by halted policy.
    pub halted: BTreeMap<String, String>,
    /// When time alone will change the plan.
    pub wake_at: Option<Timestamp>,
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
    verdict::give_back_what_is_acknowledged(&mut draft);
    advance::finish_what_is_under_way(&mut draft);
    retreat::return_what_became_ineligible(&mut draft);
    approval::give_and_take_back(&mut draft);
    settings::follow_edits(&mut draft);
    start::begin(&mut draft);
    advance::hold_the_silent(&mut draft);
    verdict::hold_the_failed(&mut draft);
    advance::hold_the_locked(&mut draft);
    advance::rest(&mut draft);
    draft.finish()
}

/// Whether an agent of the original operator sent the report: it tells no version of its own.
fn has_original_agent(observed: &Observed) -> bool {
    observed.agent_version.is_none()
}
