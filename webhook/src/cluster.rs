//! What the caches show of the cluster, as far as a policy is judged by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::in_flight::{Facts, Unreadable};
use api::policy::{claim, parse};
use api::{BottlerocketShadow, DisruptionRecord, Shadow, UpdatePolicy, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use kube::core::{DeserializeGuard, PartialObjectMeta, Resource as _, Selector, SelectorExt as _};
use semver::Version;

/// The managed nodes and all policies.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The managed nodes.
    pub nodes: Vec<ManagedNode>,
    /// All policies, the one that is judged included in the form it has now.
    pub policies: Vec<StoredPolicy>,
    /// When this was so.
    pub now: Timestamp,
}

/// A managed node.
#[derive(Debug)]
pub struct ManagedNode {
    /// Its metadata.
    pub object: Arc<PartialObjectMeta<Node>>,
    /// Its shadow, or that of an earlier Node of the same name.
    pub shadow: Option<Arc<DeserializeGuard<BottlerocketShadow>>>,
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
        shadows: Vec<Arc<DeserializeGuard<BottlerocketShadow>>>,
        now: Timestamp,
    ) -> Self {
        let by_name = |shadow: Arc<DeserializeGuard<_>>| (shadow.meta().name.clone().unwrap_or_default(), shadow);
        let mut shadows: BTreeMap<String, _> = shadows.into_iter().map(by_name).collect();
        let nodes = nodes.into_iter().map(|object| {
            let shadow = shadows.remove(&names::shadow_name(&object.name_any()));
            ManagedNode { object, shadow }
        });
        Self { nodes: nodes.collect(), policies: policies.iter().map(|policy| StoredPolicy::of(policy)).collect(), now }
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

impl ManagedNode {
    /// Whether it is in flight. No pods are watched for this: an agent of ours is taken to be alive, so that a node too many may be
    /// counted whose agent is silent.
    #[must_use]
    pub fn is_in_flight(&self, now: Timestamp) -> bool {
        let record = DisruptionRecord::decode(Some(self.object.annotations()));
        let read = |stored: &Arc<DeserializeGuard<BottlerocketShadow>>| {
            stored.0.as_ref().ok().and_then(|raw| Shadow::try_from(raw).ok()).ok_or(Unreadable)
        };
        let is_own = |shadow: &Shadow| Some(&shadow.node.uid) == self.object.meta().uid.as_ref();
        let shadow = self.shadow.as_ref().map(read).filter(|shadow| shadow.as_ref().map_or(true, is_own));
        let acknowledged = self.object.annotations().get(names::FAILURE_ACKNOWLEDGED_ANNOTATION);
        let acknowledged = acknowledged.and_then(|text| Version::parse(text).ok());
        Facts {
            managed: true,
            record: record.as_ref().map(Option::as_ref).map_err(|_| Unreadable),
            shadow: shadow.as_ref().map(|shadow| shadow.as_ref().map_err(|unreadable| *unreadable)),
            failure_acknowledged: acknowledged.as_ref(),
            agent_ready: true,
            now,
        }
        .is_in_flight()
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn policy(name: &str, spec: &Value) -> UpdatePolicy {
        UpdatePolicy::new(name, serde_json::from_value(spec.clone()).unwrap())
    }

    fn node(name: &str, pool: &str, annotations: &Value) -> Arc<PartialObjectMeta<Node>> {
        let labels = json!({ "pool": pool });
        let metadata =
            json!({"name": name, "uid": format!("uid-{name}"), "labels": labels, "annotations": annotations});
        Arc::new(serde_json::from_value(json!({ "metadata": metadata })).unwrap())
    }

    /// Nodes as `name`, with the label `pool` and whether they are in flight.
    pub(crate) fn cluster(nodes: &[(&str, &str, bool)], policies: &[UpdatePolicy]) -> Cluster {
        let recorded = json!({ names::DISRUPTION_RECORD_ANNOTATION: "{}" });
        let annotations = |in_flight| if in_flight { recorded.clone() } else { json!({}) };
        let nodes = nodes.iter().map(|(name, pool, in_flight)| node(name, pool, &annotations(*in_flight))).collect();
        let policies: Vec<_> = policies.iter().map(|policy| Arc::new(DeserializeGuard(Ok(policy.clone())))).collect();
        Cluster::of(nodes, &policies, Vec::new(), Timestamp::UNIX_EPOCH)
    }

    /// A shadow of the node, asked to run 1.20.0, with the last verdict.
    fn shadow(node: &str, uid: &str, state: &str, failed: &Value) -> Arc<DeserializeGuard<BottlerocketShadow>> {
        let owner = json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid});
        let shadow = json!({
            "metadata": {"name": format!("brs-{node}"), "uid": "1", "resourceVersion": "1", "ownerReferences": [owner]},
            "spec": {"state": state, "version": "1.20.0"},
            "status": {
                "current_version": "1.19.0", "target_version": "1.20.0", "current_state": state, "crash_count": 0,
                "agent_version": "0.1.0", "failed": failed,
            },
        });
        Arc::new(serde_json::from_value(shadow).unwrap())
    }

    #[test]
    fn a_node_is_in_flight_by_its_shadow_or_its_record_and_not_when_it_has_failed() {
        let bare = json!({});
        let acknowledged = json!({ names::FAILURE_ACKNOWLEDGED_ANNOTATION: "1.20.0" });
        let failed = json!({"kind": "Health", "version": "1.20.0", "time": "2026-11-22T05:34:15Z"});
        let nodes = [("bare", &bare), ("rests", &bare), ("asked", &bare), ("another", &bare), ("odd", &bare)];
        let nodes = nodes.into_iter().chain([("failed", &bare), ("acknowledged", &acknowledged)]);
        let recorded = node("recorded", "blue", &json!({ names::DISRUPTION_RECORD_ANNOTATION: "{}" }));
        let nodes = nodes.map(|(name, annotations)| node(name, "blue", annotations)).chain([recorded]).collect();
        let shadows = vec![
            shadow("rests", "uid-rests", "Idle", &Value::Null),
            shadow("asked", "uid-asked", "StagedAndPerformedUpdate", &Value::Null),
            shadow("another", "uid-before", "StagedAndPerformedUpdate", &Value::Null),
            shadow("odd", "uid-odd", "Flying", &Value::Null),
            shadow("failed", "uid-failed", "RebootedIntoUpdate", &failed),
            shadow("acknowledged", "uid-acknowledged", "RebootedIntoUpdate", &failed),
        ];
        let cluster = Cluster::of(nodes, &[], shadows, Timestamp::UNIX_EPOCH);
        let in_flight = cluster.nodes.iter().filter(|node| node.is_in_flight(cluster.now));
        let names: Vec<_> = in_flight.map(|node| node.object.name_any()).collect();
        assert_eq!(names, ["asked", "odd", "acknowledged", "recorded"]);
    }
}
