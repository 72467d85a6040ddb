//! What the rules read of a Node.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use api::record::UnreadableRecord;
use api::{DisruptionRecord, names, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
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

/// Longest reason of a hold that is repeated, in characters; an annotation may have 256 KiB.
const MAX_HOLD: usize = 512;

/// One Node: what its object says, and whether its agent is there.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// What the object says. Snapshots share it.
    pub object: Arc<NodeObject>,
    /// Whether its agent's pod is Ready.
    pub agent_ready: bool,
}

impl Deref for NodeFacts {
    type Target = NodeObject;

    fn deref(&self) -> &NodeObject {
        &self.object
    }
}

/// What the rules read of a Node object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeObject {
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
    pub record: Result<Option<DisruptionRecord>, UnreadableRecord>,
    /// The reason somebody gave in the hold annotation, as a printable line.
    pub hold: Option<String>,
    /// The version somebody wants on it first.
    pub update_now: Option<Version>,
    /// The version for which schedules do not apply to it.
    pub ignore_window: Option<Version>,
    /// The version whose failure somebody has acknowledged.
    pub failure_acknowledged: Option<Version>,
}

impl NodeObject {
    pub(super) fn read(node: &Node) -> Self {
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
            record: DisruptionRecord::decode(node.metadata.annotations.as_ref()),
            hold: annotation(names::HOLD_ANNOTATION).map(|reason| text::line(reason, MAX_HOLD)),
            update_now: version(names::UPDATE_NOW_ANNOTATION),
            ignore_window: version(names::IGNORE_WINDOW_ANNOTATION),
            failure_acknowledged: version(names::FAILURE_ACKNOWLEDGED_ANNOTATION),
            labels,
            name: name_of(node),
        }
    }

    /// Whether somebody has acknowledged that `version` failed on it.
    #[must_use]
    pub fn acknowledges(&self, version: &Version) -> bool {
        self.failure_acknowledged.as_ref() == Some(version)
    }

    /// Whether the operator has done something to the Node, or something that may be that cannot be read.
    #[must_use]
    pub const fn has_record(&self) -> bool {
        !matches!(self.record, Ok(None))
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
