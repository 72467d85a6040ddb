//! What a round does between what it sees and what it writes: it parses, plans, checks and words what is to be published. All of it is
//! a function of data, and none of it waits for anything.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio::time::Instant;

use super::undecodable::UndecodableStatuses;
use crate::check::{Objection, check};
use crate::own_writes::OwnWrites;
use crate::plan::{Plan, plan};
use crate::publish::{PolicyStatus, changed_statuses};
use crate::shadow_status::{self, ShadowStatus};
use crate::snapshot::{Objects, Parsed, Snapshot};
use crate::status::statuses;
use crate::watch::Watches;

/// What a decision needs of the rounds before. It goes with the work and comes back with the decision.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) own: OwnWrites,
    pub(super) parsed: Parsed,
    pub(super) undecodable: UndecodableStatuses,
}

/// What is to be decided on.
pub(super) struct Work {
    pub(super) now: Timestamp,
    pub(super) watches: Watches,
    /// The shadows that several writes in a row could not be stored to.
    pub(super) stuck: BTreeSet<String>,
    pub(super) memory: Memory,
}

/// What is to be written, and what it was decided on.
pub(super) struct Decision {
    pub(super) memory: Memory,
    pub(super) snapshot: Snapshot,
    pub(super) plan: Plan,
    pub(super) objections: Vec<Objection>,
    /// What is said of shadows, where that has changed.
    pub(super) shadows: Vec<ShadowStatus>,
    /// What is said of policies, where that has changed.
    pub(super) policies: Vec<PolicyStatus>,
    /// How long the plan and its check took.
    pub(super) seconds: f64,
}

pub(super) fn decide(work: Work) -> Decision {
    let Work { now, watches, stuck, mut memory } = work;
    let snapshot = Snapshot { stuck, ..snapshot(&watches, now, &mut memory) };
    let span = tracing::info_span!("plan", nodes = snapshot.nodes.len(), policies = snapshot.policies.len()).entered();
    let started = Instant::now();
    let plan = plan(&snapshot);
    let objections = check(&snapshot, &plan);
    let seconds = started.elapsed().as_secs_f64();
    drop(span);
    let shadows = shadow_status::changed(&snapshot, &plan);
    let policies = changed_statuses(&snapshot, statuses(&snapshot, &plan, &objections));
    Decision { memory, snapshot, plan, objections, shadows, policies, seconds }
}

fn snapshot(watches: &Watches, now: Timestamp, memory: &mut Memory) -> Snapshot {
    let Memory { own, parsed, undecodable } = memory;
    let nodes = watches.nodes.state();
    let shadows = watches.shadows.state();
    let policies = watches.policies.state();
    own.forget_seen(shadows.iter().map(AsRef::as_ref));
    let objects = Objects {
        nodes: nodes.iter().map(AsRef::as_ref).collect(),
        shadows: shadows.iter().map(|shadow| own.newest(shadow)).collect(),
        policies: policies.iter().map(AsRef::as_ref).collect(),
        agents_ready: watches.agents_ready(),
    };
    let mut snapshot = parsed.snapshot(now, &objects);
    undecodable.fill(&mut snapshot.policies);
    own.obscure_unknown(&mut snapshot.shadows);
    snapshot
}
