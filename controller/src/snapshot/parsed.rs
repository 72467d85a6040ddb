//! What was parsed already. Nodes and shadows are parsed as they arrive; a policy only when it says something else than before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::policy::UpdatePolicySpec;
use api::{State, UpdatePolicy};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;

use super::policy::exceeded_deadline;
use super::{NodeFacts, Objects, Place, PolicyFacts, Progress, Snapshot, Step};

/// A policy's uid and what it says, which its own status does not change.
type Edition = (Option<String>, UpdatePolicySpec);

/// The policies that were parsed for the last snapshot, with what each was parsed from.
#[derive(Debug, Default)]
pub struct Parsed {
    policies: BTreeMap<String, (Edition, PolicyFacts)>,
    progress: Progress,
}

impl Parsed {
    /// Where the work on the next snapshot, and on plans of it, will be.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Takes a snapshot of `objects` as of `now`, for which it parses the policies that are new, and forgets those that are gone.
    pub fn snapshot(&mut self, now: Timestamp, objects: &Objects<'_>) -> Snapshot {
        let policies = objects.policies.iter().map(|policy| self.policy(policy));
        let policies: BTreeMap<_, _> = policies.map(|policy| (policy.name.clone(), policy)).collect();
        self.policies.retain(|name, _| policies.contains_key(name));
        let nodes = objects.nodes.iter().map(|node| {
            let agent_ready = objects.agents_ready.contains(&node.object.name);
            (node.object.name.clone(), NodeFacts { object: node.object.clone(), agent_ready })
        });
        let shadows = objects.shadows.iter().map(|shadow| (shadow.facts.node_name().to_owned(), shadow.facts.clone()));
        Snapshot {
            now,
            nodes: nodes.collect(),
            shadows: shadows.collect(),
            gated: gated(&policies, objects),
            policies,
            stuck: BTreeSet::new(),
            progress: self.progress(),
        }
    }

    fn policy(&mut self, policy: &DeserializeGuard<UpdatePolicy>) -> PolicyFacts {
        let Ok(raw) = &policy.0 else { return PolicyFacts::read(policy) };
        if exceeded_deadline(raw) {
            return PolicyFacts::read(policy);
        }
        let name = super::guarded_name(policy);
        let same = |(uid, spec): &Edition| *uid == raw.metadata.uid && *spec == raw.spec;
        if let Some((_, known)) = self.policies.get(&name).filter(|(known, _)| same(known)) {
            let generation = raw.metadata.generation;
            return PolicyFacts { status: raw.status.clone(), generation, ..known.clone() };
        }
        let place = Place {
            policy: name.clone(),
            uid: raw.metadata.uid.clone().unwrap_or_default(),
            generation: raw.metadata.generation,
            step: Step::Read,
        };
        let facts = self.progress.at(place, || PolicyFacts::read(policy));
        self.policies.insert(name, ((raw.metadata.uid.clone(), raw.spec.clone()), facts.clone()));
        facts
    }
}

/// The Nodes that a health check may be asked of, whole as far as they are kept.
fn gated(policies: &BTreeMap<String, PolicyFacts>, objects: &Objects<'_>) -> BTreeMap<String, Arc<serde_json::Value>> {
    let mut accepted = policies.values().filter_map(|policy| policy.accepted.as_ref().ok());
    if accepted.all(|policy| policy.health.checks.is_empty()) {
        return BTreeMap::new();
    }
    let readable = objects.shadows.iter().filter_map(|shadow| shadow.facts.readable());
    let gated = readable.filter(|shadow| shadow.desired.state == State::RebootedIntoUpdate);
    let gated: BTreeSet<_> = gated.map(|shadow| shadow.node.name.as_str()).collect();
    let nodes = objects.nodes.iter().filter(|node| gated.contains(node.object.name.as_str()));
    nodes.map(|node| (node.name_any(), Arc::new(node.value()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::NotAccepted;

    fn policy(resource_version: &str, paused: bool) -> DeserializeGuard<UpdatePolicy> {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
            "metadata": {"name": "default", "uid": "u", "resourceVersion": resource_version},
            "spec": {"nodeSelector": {}, "paused": paused},
        }))
        .unwrap()
    }

    fn is_paused(parsed: &mut Parsed, policy: &DeserializeGuard<UpdatePolicy>) -> bool {
        let objects = Objects { policies: vec![policy], ..Objects::default() };
        let snapshot = parsed.snapshot(Timestamp::UNIX_EPOCH, &objects);
        snapshot.policies["default"].accepted.as_ref().unwrap().paused
    }

    #[test]
    fn a_policy_that_says_something_else_is_parsed_again() {
        let mut parsed = Parsed::default();
        assert!(!is_paused(&mut parsed, &policy("1", false)));
        assert!(is_paused(&mut parsed, &policy("1", true)), "whatever its version");
        assert!(is_paused(&mut parsed, &policy("2", true)));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut parsed = Parsed::default();
        is_paused(&mut parsed, &policy("1", false));
        parsed.snapshot(Timestamp::UNIX_EPOCH, &Objects::default());
        assert!(parsed.policies.is_empty());
    }

    #[test]
    fn a_policy_that_planning_did_not_come_to_an_end_over_is_not_read_again_before_it_is_edited() {
        let stored = |generation: i64| -> DeserializeGuard<UpdatePolicy> {
            let verdict = serde_json::json!({
                "type": "Accepted", "status": "False", "reason": "PlanningDeadlineExceeded", "message": "",
                "observedGeneration": 7, "lastTransitionTime": "2026-11-22T02:00:00Z",
            });
            serde_json::from_value(serde_json::json!({
                "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
                "metadata": {"name": "default", "uid": "u", "generation": generation},
                "spec": {"nodeSelector": {"matchLabels": {"pool": "blue"}}, "schedule": {"timeZone": "Mars/Base"}},
                "status": {"conditions": [verdict]},
            }))
            .unwrap()
        };
        let mut parsed = Parsed::default();
        let mut facts = |generation| {
            let policy = stored(generation);
            let objects = Objects { policies: vec![&policy], ..Objects::default() };
            parsed.snapshot(Timestamp::UNIX_EPOCH, &objects).policies.remove("default").unwrap()
        };
        // What is wrong with it would be named if it were read.
        let invalid = |facts: &PolicyFacts| matches!(facts.accepted, Err(NotAccepted::Invalid(_)));
        for generation in [6, 8] {
            assert!(invalid(&facts(generation)), "{generation}");
            let tried = facts(7);
            assert_eq!(tried.accepted.unwrap_err(), NotAccepted::PlanningDeadlineExceeded);
            assert!(tried.selector.is_some(), "it owns its nodes");
        }
    }
}
