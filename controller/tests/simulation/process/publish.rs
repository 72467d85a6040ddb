//! What a controller says of nodes and versions, as far as a later plan reads it.

use std::collections::BTreeSet;

use api::policy::{PromotionStep, VersionSeen};
use api::shadow::Failed;
use controller::own_writes::Outcome;
use controller::plan::{BOOTED, Plan, Release};
use controller::shadow_status;
use controller::snapshot::Snapshot;
use controller::status::version_seen;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use semver::Version;

use super::Process;
use crate::world::World;

impl Process {
    /// Says of nodes and versions what the plan says, as far as a later plan reads it: not why a node is held, and no counts. Such
    /// a write may be lost, or its answer.
    pub(super) fn publish(&mut self, world: &mut World, snapshot: &Snapshot, plan: &Plan) {
        // The statuses of shadows whose spec is written follow later, as in the controller.
        let acted_on: BTreeSet<_> = plan.actions.iter().map(|action| &action.shadow).collect();
        let changed = shadow_status::changed(snapshot, plan).into_iter();
        for said in changed.filter(|said| !acted_on.contains(&said.shadow)) {
            let known = snapshot.shadows[&said.node].readable().unwrap();
            let clock = |all: &[Condition]| all.iter().find(|condition| condition.type_ == BOOTED).cloned();
            let verdict = known.observed.as_ref().and_then(|report| report.failed.as_ref()).map(Failed::stored);
            let differs = (clock(&said.conditions), &said.failed) != (clock(&known.conditions), &verdict);
            if differs && (world.calm || !world.chance(8)) {
                let (shadow, clock) = (said.shadow.clone(), clock(&said.conditions));
                let stored = world.say(said, clock).filter(|_| world.calm || !world.chance(8));
                stored.into_iter().for_each(|stored| self.own.note(&shadow, Outcome::Stored(Box::new(stored))));
            }
        }
        for (policy, releases) in &plan.releases {
            let facts = &snapshot.policies[policy];
            let known = facts.status.clone().unwrap_or_default();
            let versions: Vec<_> = releases.iter().map(|(version, release)| entry(version, release)).collect();
            let rule = facts.accepted.iter().flat_map(|accepted| &accepted.versions.after);
            let under: Vec<_> = rule.map(PromotionStep::from).collect();
            let differs = (&known.versions, &known.promoted_under) != (&versions, &under);
            if differs && (world.calm || !world.chance(8)) {
                world.know(policy, &facts.uid, versions, under);
            }
        }
    }
}

/// What a later plan reads of it: no counts.
fn entry(version: &Version, release: &Release) -> VersionSeen {
    VersionSeen { eligible_at: None, nodes: 0, failed: 0, ..version_seen(version, release) }
}
