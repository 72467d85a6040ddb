//! Nodes and policies as the watches of a plan had shown them, and whose each node was: the rule of ownership once more, with
//! no code of the controller's.

use std::collections::BTreeMap;

use api::names;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use serde_json::Value;

use crate::process::Seen;
use crate::world::World;

/// What a plan could know.
pub(crate) struct PlanView<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    policies: BTreeMap<&'a str, &'a Value>,
}

impl<'a> PlanView<'a> {
    pub(crate) fn of(world: &'a World, seen: Seen) -> Self {
        Self::until(world, seen.nodes, seen.policies)
    }

    /// Everything as it is stored.
    pub(crate) fn now(world: &'a World) -> Self {
        Self::until(world, world.nodes.log.len(), world.specs.len())
    }

    fn until(world: &'a World, nodes: usize, policies: usize) -> Self {
        let nodes = &world.nodes.log[..nodes];
        let node = |name: &'a String| Some((name.as_str(), latest(nodes, name)?.as_ref()));
        let mut known = BTreeMap::new();
        for (name, spec) in &world.specs[..policies] {
            match spec {
                Some(spec) => known.insert(name.as_str(), spec),
                None => known.remove(name.as_str()),
            };
        }
        Self { nodes: world.nodes.rows.keys().filter_map(node).collect(), policies: known }
    }

    pub(crate) fn node(&self, name: &str) -> Option<&'a Node> {
        self.nodes.get(name).copied()
    }

    pub(crate) fn spec(&self, policy: &str) -> Option<&'a Value> {
        self.policies.get(policy).copied()
    }

    /// The one policy of the highest priority that selects a managed node; none when several do.
    pub(crate) fn owner(&self, node: &Node) -> Option<&'a str> {
        if !is_managed(node) {
            return None;
        }
        let claims = self.policies.iter().filter(|(_, spec)| selects(&spec["nodeSelector"], node));
        let mut claims: Vec<_> = claims.map(|(name, spec)| (spec["priority"].as_i64().unwrap_or(0), *name)).collect();
        claims.sort_unstable();
        match claims.as_slice() {
            [.., (second, _), (first, _)] if first == second => None,
            [.., (_, first)] => Some(first),
            [] => None,
        }
    }

    /// The limit in nodes that the policy's field sets; `None` without it.
    pub(crate) fn limit(&self, policy: &str, field: &str) -> Option<usize> {
        let limit = &self.spec(policy)?[field];
        match (limit.as_u64(), limit.as_str().and_then(|text| text.strip_suffix('%'))) {
            (Some(number), _) => Some(usize::try_from(number).unwrap()),
            (None, Some(percent)) => {
                let matched = self.nodes.values().filter(|node| self.owner(node) == Some(policy)).count();
                Some((matched * percent.parse::<usize>().unwrap() / 100).max(1))
            }
            _ if limit.is_null() => None,
            _ => Some(usize::MAX),
        }
    }

    /// Whether the node was not Ready, or cordoned, and the policy's.
    pub(crate) fn is_down(&self, node: &Node, policy: &str) -> bool {
        let shown = self.node(&node.name_any()).filter(|shown| shown.uid() == node.uid());
        let Some(shown) = shown.filter(|shown| self.owner(shown) == Some(policy)) else { return false };
        let cordoned = shown.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        let conditions = shown.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
        cordoned || !conditions.into_iter().any(|condition| condition.status == "True")
    }
}

fn latest<'a, T>(log: &'a [(String, Option<T>)], name: &str) -> Option<&'a T> {
    log.iter().rev().find(|(of, _)| of == name)?.1.as_ref()
}

fn is_managed(node: &Node) -> bool {
    node.labels().contains_key(names::UPDATER_INTERFACE_LABEL)
}

/// What a label selector means, in the operators that Kubernetes has.
fn selects(selector: &Value, node: &Node) -> bool {
    let label = |key: &str| node.labels().get(key).map(String::as_str);
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.into_iter().all(|(key, value)| label(key) == value.as_str())
        && expressions.into_iter().all(|expression| {
            let label = label(expression["key"].as_str().unwrap());
            let listed = || expression["values"].as_array().unwrap().iter().any(|value| value.as_str() == label);
            match expression["operator"].as_str().unwrap() {
                "In" => label.is_some() && listed(),
                "NotIn" => !listed(),
                "Exists" => label.is_some(),
                _ => label.is_none(),
            }
        })
}
