//! An agent's pod as a watch holds it: where it is, and whether it is Ready.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};

use crate::snapshot::identity;

/// An agent's pod.
#[derive(Debug, Clone, Resource)]
#[resource(inherit = Pod)]
pub(crate) struct AgentPod {
    /// Which object it is, at which version.
    metadata: ObjectMeta,
    /// The Node it was bound to.
    node: Option<Box<str>>,
    ready: bool,
}

impl AgentPod {
    /// The Node it is Ready on.
    pub(crate) fn ready_on(&self) -> Option<&str> {
        self.node.as_deref().filter(|_| self.ready)
    }

    /// Whether it is as Ready and on the same Node as before.
    pub(crate) fn says_the_same(&self, before: &Self) -> bool {
        (&self.node, self.ready) == (&before.node, before.ready)
    }
}

impl From<Pod> for AgentPod {
    fn from(pod: Pod) -> Self {
        Self {
            metadata: identity(&pod.metadata),
            ready: is_ready(&pod),
            node: pod.spec.and_then(|spec| spec.node_name).map(String::into_boxed_str),
        }
    }
}

impl<'de> Deserialize<'de> for AgentPod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Pod::deserialize(deserializer).map(Self::from)
    }
}

/// A pod that is being terminated is not Ready, whatever its kubelet said last.
fn is_ready(pod: &Pod) -> bool {
    if pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(node: &str, ready: &str, deleted_at: Option<&str>) -> AgentPod {
        serde_json::from_value(json!({
            "metadata": {"name": "agent", "deletionTimestamp": deleted_at}, "spec": {"nodeName": node, "containers": []},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_ready_pod_that_is_being_terminated_is_not_ready() {
        let before = pod("a", "True", None);
        assert_eq!(before.ready_on(), Some("a"));
        let after = pod("a", "True", Some("2026-11-22T02:00:00Z"));
        assert_eq!(after.ready_on(), None);
        assert!(!after.says_the_same(&before), "it asks for a plan");
    }

    #[test]
    fn a_pod_asks_for_a_plan_only_when_its_readiness_or_its_node_is_another() {
        let before = pod("a", "False", None);
        assert!(pod("a", "False", None).says_the_same(&before));
        assert!(!pod("a", "True", None).says_the_same(&before));
        assert!(!pod("b", "False", None).says_the_same(&before));
    }
}
