//! What the rules read of a Node.

use std::collections::{BTreeMap, BTreeSet};

use api::{Marks, marks::UnreadableMarks, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeStatus};
use semver::Version;

use super::name_of;

/// Taints that announce that a node goes away: nothing starts there. Other taints do not matter.
///
/// Sources: cluster-autoscaler `cluster-autoscaler/utils/taints/taints.go` (ToBeDeletedTaint, DeletionCandidateTaint is only a
/// candidate and not listed), Karpenter `pkg/apis/v1/taints.go` (DisruptedTaintKey), cloud-provider
/// `api/well_known_taints.go` (TaintNodeShutdown), Kubernetes well-known taints (out-of-service).
const LEAVING_TAINTS: [&str; 4] = [
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "node.cloudprovider.kubernetes.io/shutdown",
    "node.kubernetes.io/out-of-service",
];

/// One Node.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// Its uid; a Node that was deleted and made again has another.
    pub uid: String,
    /// Its labels, for selectors and topology.
    pub labels: BTreeMap<String, String>,
    /// Whether it carries the updater interface label in the one version there is.
    pub managed: bool,
    /// Whether it is Ready.
    pub ready: bool,
    /// When it last became Ready or ceased to be.
    pub ready_since: Option<Timestamp>,
    /// Whether it is cordoned, by whomever.
    pub cordoned: bool,
    /// Why it is about to go away, if it is.
    pub leaving: Option<String>,
    /// The boot id its kubelet reported last.
    pub boot_id: String,
    /// What the operator did to it.
    pub marks: Result<Option<Marks>, UnreadableMarks>,
    /// The reason somebody gave in the hold annotation.
    pub hold: Option<String>,
    /// The version somebody wants on it first.
    pub update_now: Option<Version>,
    /// The version for which schedules do not apply to it.
    pub ignore_window: Option<Version>,
    /// The version whose failure somebody has acknowledged.
    pub failure_acknowledged: Option<Version>,
    /// Whether its agent's pod is Ready.
    pub agent_ready: bool,
}

impl NodeFacts {
    pub(super) fn read(node: &Node, agents_ready: &BTreeSet<String>) -> Self {
        let name = name_of(node);
        let labels = node.metadata.labels.clone().unwrap_or_default();
        let annotation = |key| node.metadata.annotations.as_ref().and_then(|all| all.get(key));
        // A version that cannot be read matches no version: such an annotation has no effect.
        let version = |key| annotation(key).and_then(|text| Version::parse(text).ok());
        Self {
            uid: node.metadata.uid.clone().unwrap_or_default(),
            managed: labels.get(names::UPDATER_INTERFACE_LABEL).is_some_and(|v| v == names::UPDATER_INTERFACE_VERSION),
            ready: ready(node).is_some_and(|condition| condition.status == "True"),
            ready_since: ready(node).and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0),
            cordoned: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
            leaving: leaving(node),
            boot_id: boot_id(node),
            marks: Marks::decode(node.metadata.annotations.as_ref()),
            hold: annotation(names::HOLD_ANNOTATION).cloned(),
            update_now: version(names::UPDATE_NOW_ANNOTATION),
            ignore_window: version(names::IGNORE_WINDOW_ANNOTATION),
            failure_acknowledged: version(names::FAILURE_ACKNOWLEDGED_ANNOTATION),
            agent_ready: agents_ready.contains(&name),
            labels,
            name,
        }
    }

    /// Whether somebody has acknowledged that `version` failed on it.
    #[must_use]
    pub fn acknowledges(&self, version: &Version) -> bool {
        self.failure_acknowledged.as_ref() == Some(version)
    }

    /// Whether the operator has done something to the Node, or something that may be that cannot be read.
    #[must_use]
    pub const fn is_marked(&self) -> bool {
        !matches!(self.marks, Ok(None))
    }
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let mut conditions = node.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.find(|condition| condition.type_ == "Ready")
}

fn boot_id(node: &Node) -> String {
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    info.map(|info| info.boot_id.clone()).unwrap_or_default()
}

fn leaving(node: &Node) -> Option<String> {
    if node.metadata.deletion_timestamp.is_some() {
        return Some("it is being deleted".to_owned());
    }
    let mut taints = node.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten();
    taints.find(|taint| LEAVING_TAINTS.contains(&taint.key.as_str())).map(|taint| format!("taint {}", taint.key))
}

/// Whether two Nodes, stripped as they are, say the same to every rule: a heartbeat asks for no plan.
#[must_use]
pub fn says_the_same(before: &Node, after: &Node) -> bool {
    let essence = |node: &Node| {
        let mut node = node.clone();
        node.metadata.resource_version = None;
        let conditions = node.status.iter_mut().filter_map(|status| status.conditions.as_mut()).flatten();
        conditions.for_each(|condition| condition.last_heartbeat_time = None);
        node
    };
    essence(before) == essence(after)
}

/// Drops from a watched Node what neither the rules nor a health check may read, above all the image list: a Node of a real
/// cluster shrinks from tens of kilobytes to a few.
pub fn strip(node: &mut Node) {
    node.metadata.managed_fields = None;
    if let Some(status) = node.status.take() {
        node.status = Some(NodeStatus {
            conditions: status.conditions,
            allocatable: status.allocatable,
            capacity: status.capacity,
            node_info: status.node_info,
            ..NodeStatus::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn full(heartbeat: &str, ready: &str) -> Node {
        let node: Value = json!({
            "metadata": {
                "name": "a", "resourceVersion": heartbeat, "labels": {"l": "1"}, "annotations": {"a": "1"},
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
    fn a_stripped_node_keeps_what_rules_and_health_checks_may_read_and_nothing_else() {
        let mut node = full("2026-11-22T02:00:00Z", "True");
        strip(&mut node);
        let kept = json!(node);
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&kept["metadata"]), ["annotations", "labels", "name", "resourceVersion"]);
        assert_eq!(keys(&kept["spec"]), ["taints", "unschedulable"]);
        assert_eq!(keys(&kept["status"]), ["allocatable", "capacity", "conditions", "nodeInfo"]);
    }

    #[test]
    fn a_heartbeat_says_nothing_new_and_a_lost_kubelet_does() {
        let before = full("2026-11-22T02:00:00Z", "True");
        assert!(says_the_same(&before, &full("2026-11-22T02:05:00Z", "True")));
        assert!(!says_the_same(&before, &full("2026-11-22T02:05:00Z", "False")));
    }
}
