//! What holds for every cluster and every policy, whatever state things are in. The clusters are arbitrary: policies with schedules,
//! versions, health gates and limits of all kinds, nodes in any state with any history, and shadows that fit them or do not.
//!
//! `limits`: what must not happen. `progress`: what must. `converged`: how it ends. `monotone`: what more room does.
//! `determinism`: that nothing else than the snapshot decides. `dry_run`: that a pause shows what would start without it.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

mod arbitrary;
#[path = "../cluster/mod.rs"]
mod cluster;
mod converged;
mod determinism;
mod dry_run;
mod limits;
mod monotone;
mod progress;

use controller::action::Verb;
use controller::plan::Plan;

fn count(plan: &Plan, verb: Verb) -> usize {
    plan.actions.iter().filter(|action| action.verb == verb).count()
}
