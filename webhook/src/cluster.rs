//! What the caches show of the cluster, as far as a policy is judged by it.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    BottlerocketShadow, State, UpdatePolicy, names,
    policy::{claim, parse},
};
use k8s_openapi::api::core::v1::Node;
use kube::{
    ResourceExt as _,
    core::{DeserializeGuard, PartialObjectMeta, Resource as _, Selector, SelectorExt as _},
};

/// The managed nodes and all policies.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The managed nodes.
    pub nodes: Vec<ManagedNode>,
    /// All policies, the one that is judged included in the form it has now.
    pub policies: Vec<StoredPolicy>,
}

/// A managed node.
#[derive(Debug)]
pub struct ManagedNode {
    /// Its metadata.
    pub object: Arc<PartialObjectMeta<Node>>,
    /// Whether it is being updated: asked for or reporting anything but Idle, or marked.
    pub in_flight: bool,
}

/// A policy as it is stored.
#[derive(Debug)]
pub struct StoredPolicy {
    /// Its name.
    pub name: String,
    /// Its priority; the highest there is where it cannot be read, as the controller takes it.
    pub priority: i64,
    /// Its nodes; `None` when the selector cannot be read: it may then own any.
    pub selector: Option<Selector>,
    /// The policies it waits for.
    pub after: Vec<String>,
}

impl Cluster {
    /// The cluster as the caches show it.
    #[must_use]
    pub fn of(
        nodes: Vec<Arc<PartialObjectMeta<Node>>>,
        policies: &[Arc<DeserializeGuard<UpdatePolicy>>],
        shadows: &[Arc<DeserializeGuard<BottlerocketShadow>>],
    ) -> Self {
        let moving: BTreeMap<String, bool> = shadows
            .iter()
            .map(|shadow| (shadow.meta().name.clone().unwrap_or_default(), shadow.0.as_ref().map_or(true, moves)))
            .collect();
        let nodes = nodes.into_iter().map(|object| {
            let marked = object.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION);
            let moving = moving.get(&names::shadow_name(&object.name_any())).copied().unwrap_or(false);
            ManagedNode { in_flight: marked || moving, object }
        });
        Self { nodes: nodes.collect(), policies: policies.iter().map(|policy| StoredPolicy::of(policy)).collect() }
    }

    /// The nodes that a selector names.
    pub fn selected<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a ManagedNode> {
        self.nodes.iter().filter(|node| selector.matches(node.object.labels()))
    }

    /// The policies that select a node, but for the one called `except`; the highest priority first.
    #[must_use]
    pub fn claims(&self, node: &ManagedNode, except: &str) -> Vec<&StoredPolicy> {
        let mut claims: Vec<_> = self.others(except).filter(|policy| policy.claims(node)).collect();
        claims.sort_by_key(|policy| (-policy.priority, &policy.name));
        claims
    }

    /// All policies but the one called `except`.
    pub fn others<'a>(&'a self, except: &str) -> impl Iterator<Item = &'a StoredPolicy> {
        self.policies.iter().filter(move |policy| policy.name != except)
    }
}

impl StoredPolicy {
    fn of(guarded: &DeserializeGuard<UpdatePolicy>) -> Self {
        let name = guarded.meta().name.clone().unwrap_or_default();
        match &guarded.0 {
            Err(_) => Self { name, priority: claim::rank(None), selector: None, after: Vec::new() },
            Ok(policy) => {
                let after = policy.spec.versions.iter().flat_map(|versions| &versions.after);
                Self {
                    priority: claim::rank(Some(policy.spec.priority)),
                    selector: parse::selector(&policy.spec).ok(),
                    after: after.map(|after| after.policy.clone()).collect(),
                    name,
                }
            }
        }
    }

    /// Whether it owns a node, as long as no policy of higher priority does.
    #[must_use]
    pub fn claims(&self, node: &ManagedNode) -> bool {
        claim::selects(self.selector.as_ref(), node.object.labels())
    }
}

fn moves(shadow: &BottlerocketShadow) -> bool {
    let reports = shadow.status.as_ref().is_some_and(|status| status.current_state != State::Idle);
    shadow.spec.state != State::Idle || reports
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn policy(name: &str, spec: &Value) -> UpdatePolicy {
        UpdatePolicy::new(name, serde_json::from_value(spec.clone()).unwrap())
    }

    /// Nodes as `name`, with the label `pool` and whether they are in flight.
    pub(crate) fn cluster(nodes: &[(&str, &str, bool)], policies: &[UpdatePolicy]) -> Cluster {
        let nodes = nodes.iter().map(|(name, pool, in_flight)| {
            let object = json!({"metadata": {"name": name, "labels": {"pool": pool}}});
            ManagedNode { object: Arc::new(serde_json::from_value(object).unwrap()), in_flight: *in_flight }
        });
        let policies = policies.iter().map(|policy| StoredPolicy::of(&DeserializeGuard(Ok(policy.clone()))));
        Cluster { nodes: nodes.collect(), policies: policies.collect() }
    }

    #[test]
    fn a_node_is_in_flight_by_its_shadow_or_its_marks() {
        let node = |name: &str, annotations: Value| {
            Arc::new(serde_json::from_value(json!({"metadata": {"name": name, "annotations": annotations}})).unwrap())
        };
        let shadow = |node: &str, state: &str| {
            let shadow = json!({"metadata": {"name": format!("brs-{node}")}, "spec": {"state": state}});
            Arc::new(serde_json::from_value::<DeserializeGuard<BottlerocketShadow>>(shadow).unwrap())
        };
        let nodes = vec![
            node("rests", json!({})),
            node("asked", json!({})),
            node("marked", json!({ names::DISRUPTION_RECORD_ANNOTATION: "{}" })),
            node("odd", json!({})),
        ];
        let shadows = [shadow("rests", "Idle"), shadow("asked", "StagedAndPerformedUpdate"), shadow("odd", "Flying")];
        let cluster = Cluster::of(nodes, &[], &shadows);
        let in_flight: Vec<_> = cluster.nodes.iter().map(|node| node.in_flight).collect();
        assert_eq!(in_flight, [false, true, true, true]);
    }
}
