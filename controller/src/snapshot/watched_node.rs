//! A Node as a watch holds it: what the rules read of it, and as a text what a health check may read. As a `Node` it would take
//! tens of kilobytes in a real cluster, most of them for a list of images that nobody asks for.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{NodeObject, identity};

/// A Node as a watch holds it.
#[derive(Debug, Clone, Resource)]
#[resource(inherit = Node)]
pub struct WatchedNode {
    /// Which object it is, at which version.
    metadata: ObjectMeta,
    /// What the rules read of it.
    pub(super) object: Arc<NodeObject>,
    /// The Node as JSON, as far as it is kept.
    text: Box<str>,
}

impl WatchedNode {
    /// What a health check reads.
    pub(super) fn value(&self) -> Value {
        // What `try_from` has written can be read.
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Whether a Node says the same to every rule and every health check as it did before: a heartbeat asks for no plan.
    #[must_use]
    pub fn says_the_same(&self, before: &Self) -> bool {
        self.object == before.object && without_heartbeats(self.value()) == without_heartbeats(before.value())
    }
}

/// Keeps of a Node what rules and health checks may read. The image list is the largest part of what is left out.
impl TryFrom<Node> for WatchedNode {
    type Error = serde_json::Error;

    fn try_from(mut node: Node) -> Result<Self, Self::Error> {
        node.metadata.managed_fields = None;
        node.status = node.status.map(|status| NodeStatus {
            conditions: status.conditions,
            allocatable: status.allocatable,
            capacity: status.capacity,
            node_info: status.node_info,
            ..NodeStatus::default()
        });
        let text = serde_json::to_string(&node)?.into_boxed_str();
        Ok(Self { object: Arc::new(NodeObject::read(&node)), metadata: identity(&node.metadata), text })
    }
}

impl<'de> Deserialize<'de> for WatchedNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Node::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Without what every heartbeat changes.
fn without_heartbeats(mut node: Value) -> Value {
    if let Some(metadata) = node["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
        condition.as_object_mut().map(|condition| condition.remove("lastHeartbeatTime"));
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn full(version: &str, ready: &str) -> WatchedNode {
        let heartbeat = format!("2026-11-22T02:0{version}:00Z");
        let node = json!({
            "metadata": {
                "name": "a", "resourceVersion": version, "labels": {"l": "1"}, "annotations": {"a": "1"},
                "managedFields": [{"manager": "kubelet"}],
            },
            "spec": {"unschedulable": true, "taints": [{"key": "k", "effect": "NoSchedule"}]},
            "status": {
                "conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat}],
                "allocatable": {"cpu": "1"}, "capacity": {"cpu": "2"},
                "nodeInfo": {
                    "bootID": "b", "architecture": "", "containerRuntimeVersion": "", "kernelVersion": "",
                    "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "",
                    "systemUUID": "",
                },
                "images": [{"names": ["registry.example/image:1"], "sizeBytes": 1}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "volumesInUse": ["v"],
            },
        });
        serde_json::from_value(node).unwrap()
    }

    #[test]
    fn what_rules_and_health_checks_may_read_is_kept_and_nothing_else() {
        let kept = full("1", "True").value();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&kept["metadata"]), ["annotations", "labels", "name", "resourceVersion"]);
        assert_eq!(keys(&kept["spec"]), ["taints", "unschedulable"]);
        assert_eq!(keys(&kept["status"]), ["allocatable", "capacity", "conditions", "nodeInfo"]);
    }

    #[test]
    fn a_heartbeat_says_nothing_new_and_a_lost_kubelet_does() {
        let before = full("1", "True");
        assert!(full("2", "True").says_the_same(&before));
        assert!(!full("2", "False").says_the_same(&before));
    }

    #[test]
    fn what_only_a_health_check_reads_is_new_as_well() {
        let before = full("1", "True");
        let mut node: Node = serde_json::from_value(before.value()).unwrap();
        node.status.as_mut().unwrap().allocatable.as_mut().unwrap().clear();
        assert!(!WatchedNode::try_from(node).unwrap().says_the_same(&before));
    }
}
