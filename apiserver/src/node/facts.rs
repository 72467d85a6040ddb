//! A Node as the rules read it.

use std::collections::BTreeMap;

use api::DisruptionRecord;
use api::names::{
    EXCLUDE_FROM_LOAD_BALANCERS_LABEL, UPDATE_NOW_ANNOTATION, UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION,
    VERSION_LOCK_BEFORE_ANNOTATION,
};
use api::record::UnreadableRecord;
use api::shadow::{NodeRef, Pin};
use api::wire::Reason;
use k8s_openapi::api::core::v1::Node;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::refusal::Refusal;

/// What is read from a Node before anything is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Which Node it is.
    pub id: NodeRef,
    /// The state these facts are of; every write is conditional on it.
    pub resource_version: String,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// The value of the load-balancer exclusion label.
    pub exclusion: Option<String>,
    /// What the operator did to it.
    pub record: Result<Option<DisruptionRecord>, UnreadableRecord>,
    /// The version an administrator wants on it at once.
    pub update_now: Option<String>,
    /// Whether it carries the label that makes it the operator's.
    pub managed: bool,
    /// The record of the pin of the host's version-lock.
    pub pin: Option<Pin>,
}

/// A Node without what every stored object has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("node {name} has no {field}")]
pub struct UnreadableNode {
    name: String,
    field: &'static str,
}

impl From<UnreadableNode> for Refusal {
    fn from(unreadable: UnreadableNode) -> Self {
        Self::new(Reason::Unavailable, unreadable.to_string())
    }
}

impl TryFrom<&Node> for NodeFacts {
    type Error = UnreadableNode;

    fn try_from(node: &Node) -> Result<Self, Self::Error> {
        let meta = &node.metadata;
        let name = meta.name.clone().unwrap_or_default();
        let missing = |field| UnreadableNode { name: name.clone(), field };
        let value = |all: &Option<BTreeMap<String, String>>, key| all.as_ref().and_then(|all| all.get(key).cloned());
        Ok(Self {
            resource_version: meta.resource_version.clone().ok_or_else(|| missing("resourceVersion"))?,
            unschedulable: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
            exclusion: value(&meta.labels, EXCLUDE_FROM_LOAD_BALANCERS_LABEL),
            record: DisruptionRecord::decode(meta.annotations.as_ref()),
            update_now: value(&meta.annotations, UPDATE_NOW_ANNOTATION),
            managed: meta.labels.as_ref().is_some_and(is_managed),
            pin: Pin::decode(meta.annotations.as_ref().and_then(|all| all.get(VERSION_LOCK_BEFORE_ANNOTATION))),
            id: NodeRef { uid: meta.uid.clone().ok_or_else(|| missing("uid"))?, name: name.clone() },
        })
    }
}

/// Whether these are the labels of a node of the operator.
#[must_use]
pub fn is_managed(labels: &BTreeMap<String, String>) -> bool {
    labels.get(UPDATER_INTERFACE_LABEL).is_some_and(|value| value == UPDATER_INTERFACE_VERSION)
}

/// What is to change on a Node, in one write. The record is always part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The record afterwards; `None` removes it.
    pub record: Option<DisruptionRecord>,
    /// Whether it is cordoned afterwards; `None` leaves that alone.
    pub unschedulable: Option<bool>,
    /// The exclusion label afterwards; `None` leaves it alone, `Some(None)` removes it.
    pub exclusion: Option<Option<String>>,
}

impl Change {
    /// A change of the record alone.
    #[must_use]
    pub fn record(record: Option<DisruptionRecord>) -> Self {
        Self { record, unschedulable: None, exclusion: None }
    }

    /// The merge patch, which is refused when the Node is no longer as `node` says.
    #[must_use]
    pub fn patch(&self, node: &NodeFacts) -> Value {
        let mut metadata = json!({
            "uid": node.id.uid,
            "resourceVersion": node.resource_version,
            "annotations": { api::names::DISRUPTION_RECORD_ANNOTATION: self.record.as_ref().map(DisruptionRecord::encode) },
        });
        if let Some(label) = &self.exclusion {
            metadata["labels"] = json!({ EXCLUDE_FROM_LOAD_BALANCERS_LABEL: label });
        }
        let mut patch = Map::from_iter([("metadata".to_owned(), metadata)]);
        if let Some(unschedulable) = self.unschedulable {
            // As `kubectl uncordon` leaves it: absent.
            patch.insert("spec".to_owned(), json!({ "unschedulable": unschedulable.then_some(true) }));
        }
        Value::Object(patch)
    }
}

#[cfg(test)]
mod tests {
    use api::names::DISRUPTION_RECORD_ANNOTATION;

    use super::*;
    use crate::node::samples::{node, record};

    #[test]
    fn a_node_is_read_with_its_record() {
        let raw: Node = serde_json::from_value(json!({
            "metadata": {
                "name": "a", "uid": "n1", "resourceVersion": "7",
                "labels": { EXCLUDE_FROM_LOAD_BALANCERS_LABEL: "x" },
                "annotations": { DISRUPTION_RECORD_ANNOTATION: record().encode(), UPDATE_NOW_ANNOTATION: "1.20.0" },
            },
            "spec": { "unschedulable": true },
        }))
        .unwrap();
        let facts = NodeFacts::try_from(&raw).unwrap();
        assert_eq!(facts.record, Ok(Some(record())));
        assert_eq!((facts.unschedulable, facts.exclusion.as_deref()), (true, Some("x")));
        assert_eq!(facts.update_now.as_deref(), Some("1.20.0"));
    }

    #[test]
    fn a_patch_is_conditional_and_names_only_what_changes() {
        assert_eq!(
            Change::record(None).patch(&node()),
            json!({"metadata": {"uid": "n1", "resourceVersion": "7", "annotations": { DISRUPTION_RECORD_ANNOTATION: null }}})
        );
        let restore = Change { record: Some(record()), unschedulable: Some(false), exclusion: Some(None) };
        assert_eq!(
            restore.patch(&node()),
            json!({
                "metadata": {
                    "uid": "n1", "resourceVersion": "7",
                    "annotations": { DISRUPTION_RECORD_ANNOTATION: record().encode() },
                    "labels": { EXCLUDE_FROM_LOAD_BALANCERS_LABEL: null },
                },
                "spec": { "unschedulable": null },
            })
        );
    }
}
