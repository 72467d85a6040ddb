//! What was parsed already. Nodes and shadows are parsed as they arrive; a policy only when it says something else than before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{State, UpdatePolicy, policy::UpdatePolicySpec};
use jiff::Timestamp;
use kube::{ResourceExt as _, core::DeserializeGuard};

use super::{NodeFacts, Objects, PolicyFacts, Snapshot};

/// A policy's uid and what it says, which its own status does not change.
type Edition = (Option<String>, UpdatePolicySpec);

/// The policies that were parsed for the last snapshot, with what each was parsed from.
#[derive(Debug, Default)]
pub struct Parsed(BTreeMap<String, (Edition, PolicyFacts)>);

impl Parsed {
    /// Takes a snapshot of `objects` as of `now`, for which it parses the policies that are new, and forgets those that are gone.
    pub fn snapshot(&mut self, now: Timestamp, objects: &Objects<'_>) -> Snapshot {
        let policies = objects.policies.iter().map(|policy| self.policy(policy));
        let policies: BTreeMap<_, _> = policies.map(|policy| (policy.name.clone(), policy)).collect();
        self.0.retain(|name, _| policies.contains_key(name));
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
        }
    }

    fn policy(&mut self, policy: &DeserializeGuard<UpdatePolicy>) -> PolicyFacts {
        let Ok(raw) = &policy.0 else { return PolicyFacts::read(policy) };
        let name = super::guarded_name(policy);
        let same = |(uid, spec): &Edition| *uid == raw.metadata.uid && *spec == raw.spec;
        if let Some((_, known)) = self.0.get(&name).filter(|(known, _)| same(known)) {
            let generation = raw.metadata.generation;
            return PolicyFacts { status: raw.status.clone(), generation, ..known.clone() };
        }
        let facts = PolicyFacts::read(policy);
        self.0.insert(name, ((raw.metadata.uid.clone(), raw.spec.clone()), facts.clone()));
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
    let gated = readable.filter(|shadow| shadow.order.state == State::RebootedIntoUpdate);
    let gated: BTreeSet<_> = gated.map(|shadow| shadow.node.name.as_str()).collect();
    let nodes = objects.nodes.iter().filter(|node| gated.contains(node.object.name.as_str()));
    nodes.map(|node| (node.name_any(), Arc::new(node.value()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(parsed.0.is_empty());
    }
}
