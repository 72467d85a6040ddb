//! What was parsed already. Of a whole cluster little changes between two snapshots: an object is parsed again only when its
//! resourceVersion is another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{State, UpdatePolicy, policy::UpdatePolicySpec};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::{Resource, core::DeserializeGuard};

use super::{NodeFacts, Objects, PolicyFacts, ShadowFacts, Snapshot};

/// An object at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    uid: Option<String>,
    resource_version: Option<String>,
    /// For a Node also whether its agent's pod is Ready, which is no part of it.
    agent_ready: bool,
}

impl Version {
    fn of<K: Resource>(object: &K, agent_ready: bool) -> Self {
        let meta = object.meta();
        Self { uid: meta.uid.clone(), resource_version: meta.resource_version.clone(), agent_ready }
    }

    /// Whether another object of this version says the same. Without a resourceVersion nobody can know.
    fn is(&self, other: &Self) -> bool {
        self.resource_version.is_some() && self == other
    }
}

type Known<T> = BTreeMap<String, (Version, Arc<T>)>;

/// A policy's uid and what it says, which its own status does not change.
type Edition = (Option<String>, UpdatePolicySpec);

/// What was parsed for the last snapshot.
#[derive(Debug, Default)]
pub struct Parsed {
    nodes: Known<NodeFacts>,
    shadows: Known<ShadowFacts>,
    /// With what each was parsed from.
    policies: BTreeMap<String, (Edition, PolicyFacts)>,
}

impl Parsed {
    /// Parses of `objects` what is new, as of `now`, and forgets what is gone.
    pub fn snapshot(&mut self, now: Timestamp, objects: &Objects<'_>) -> Snapshot {
        let mut nodes = Known::new();
        for node in &objects.nodes {
            let name = super::name_of(*node);
            let version = Version::of(*node, objects.agents_ready.contains(&name));
            let facts = known(&mut self.nodes, &name, &version)
                .unwrap_or_else(|| Arc::new(NodeFacts::read(node, &objects.agents_ready)));
            nodes.insert(name, (version, facts));
        }
        let mut shadows = Known::new();
        for shadow in &objects.shadows {
            let name = super::guarded_name(shadow);
            let version = Version::of::<DeserializeGuard<_>>(shadow, false);
            let facts = known(&mut self.shadows, &name, &version);
            let facts = facts.unwrap_or_else(|| Arc::new(ShadowFacts::read(shadow)));
            shadows.insert(name, (version, facts));
        }
        let policies = objects.policies.iter().map(|policy| self.policy(policy));
        let policies: BTreeMap<_, _> = policies.map(|policy| (policy.name.clone(), policy)).collect();
        self.policies.retain(|name, _| policies.contains_key(name));
        let readable = shadows.values().filter_map(|(_, facts): &(_, Arc<ShadowFacts>)| facts.readable());
        // Of the others nobody asks anything.
        let asks = policies
            .values()
            .any(|policy| policy.accepted.as_ref().is_ok_and(|policy| !policy.health.checks.is_empty()));
        let gated = readable.filter(|shadow| asks && shadow.order.state == State::RebootedIntoUpdate);
        let gated: BTreeSet<_> = gated.map(|shadow| shadow.node.name.as_str()).collect();
        let whole = |node: &&Node| Some((super::name_of(*node), Arc::new(serde_json::to_value(node).ok()?)));
        let gated =
            objects.nodes.iter().filter(|node| gated.contains(super::name_of(**node).as_str())).filter_map(whole);
        let snapshot = Snapshot {
            now,
            nodes: nodes.iter().map(|(name, (_, facts))| (name.clone(), facts.clone())).collect(),
            shadows: shadows.values().map(|(_, facts)| (facts.node_name().to_owned(), facts.clone())).collect(),
            policies,
            gated: gated.collect(),
        };
        (self.nodes, self.shadows) = (nodes, shadows);
        snapshot
    }

    fn policy(&mut self, policy: &DeserializeGuard<UpdatePolicy>) -> PolicyFacts {
        let Ok(raw) = &policy.0 else { return PolicyFacts::read(policy) };
        let name = super::guarded_name(policy);
        let same = |(uid, spec): &Edition| *uid == raw.metadata.uid && *spec == raw.spec;
        if let Some((_, known)) = self.policies.get(&name).filter(|(known, _)| same(known)) {
            let generation = raw.metadata.generation;
            return PolicyFacts { status: raw.status.clone(), generation, ..known.clone() };
        }
        let facts = PolicyFacts::read(policy);
        self.policies.insert(name, ((raw.metadata.uid.clone(), raw.spec.clone()), facts.clone()));
        facts
    }
}

fn known<T>(known: &mut Known<T>, name: &str, version: &Version) -> Option<Arc<T>> {
    known.remove(name).filter(|(before, _)| before.is(version)).map(|(_, facts)| facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(version: Option<&str>, cordoned: bool) -> Node {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "a", "uid": "u", "resourceVersion": version}, "spec": {"unschedulable": cordoned},
        }))
        .unwrap()
    }

    fn read(parsed: &mut Parsed, node: &Node, agents_ready: &[&str]) -> Arc<NodeFacts> {
        let agents_ready: BTreeSet<_> = agents_ready.iter().map(|name| (*name).to_owned()).collect();
        let objects = Objects { nodes: vec![node], agents_ready, ..Objects::default() };
        parsed.snapshot(Timestamp::UNIX_EPOCH, &objects).nodes["a"].clone()
    }

    #[test]
    fn an_object_is_parsed_again_only_when_something_about_it_is_new() {
        let mut parsed = Parsed::default();
        let first = read(&mut parsed, &node(Some("1"), false), &[]);
        assert!(Arc::ptr_eq(&first, &read(&mut parsed, &node(Some("1"), false), &[])));
        assert!(read(&mut parsed, &node(Some("1"), false), &["a"]).agent_ready);
        assert!(read(&mut parsed, &node(Some("2"), true), &["a"]).cordoned);
    }

    #[test]
    fn without_a_version_an_object_is_always_parsed() {
        let mut parsed = Parsed::default();
        assert!(!read(&mut parsed, &node(None, false), &[]).cordoned);
        assert!(read(&mut parsed, &node(None, true), &[]).cordoned);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut parsed = Parsed::default();
        read(&mut parsed, &node(Some("1"), false), &[]);
        parsed.snapshot(Timestamp::UNIX_EPOCH, &Objects::default());
        assert!(parsed.nodes.is_empty());
    }
}
