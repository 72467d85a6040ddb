//! A Node as the rules read it.

use std::collections::BTreeMap;

use api::DisruptionRecord;
use api::names::{
    EXCLUDE_FROM_LOAD_BALANCERS_LABEL, FAILURE_ACKNOWLEDGED_ANNOTATION, HOLD_ANNOTATION, IGNORE_WINDOW_ANNOTATION,
    UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION,
};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use semver::Version;

use super::version;

/// A Node.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Its disruption record, or why it cannot be read.
    pub record: Result<Option<DisruptionRecord>, String>,
    /// Whether it is Ready.
    pub ready: bool,
    /// Why it is held, when it is.
    pub hold: Option<String>,
    /// The version whose failure was acknowledged.
    pub acknowledged: Option<Version>,
    /// The version for which the schedule does not matter.
    pub ignore_window: Option<Version>,
    /// Who wrote which of its fields.
    pub managers: Vec<ManagedFieldsEntry>,
}

impl NodeFacts {
    /// Whether the label that makes a node managed is there.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.labels.get(UPDATER_INTERFACE_LABEL).is_some_and(|value| value == UPDATER_INTERFACE_VERSION)
    }

    /// Whether it carries a record, readable or not.
    #[must_use]
    pub const fn has_record(&self) -> bool {
        !matches!(self.record, Ok(None))
    }

    /// The record, where it can be read.
    #[must_use]
    pub fn record(&self) -> Option<&DisruptionRecord> {
        self.record.as_ref().ok()?.as_ref()
    }

    /// The value of the load-balancer exclusion label.
    #[must_use]
    pub fn exclusion(&self) -> Option<&String> {
        self.labels.get(EXCLUDE_FROM_LOAD_BALANCERS_LABEL)
    }
}

impl From<&Node> for NodeFacts {
    fn from(node: &Node) -> Self {
        let meta = &node.metadata;
        let annotation = |name| meta.annotations.as_ref().and_then(|all| all.get(name)).cloned();
        // A version that cannot be read matches none.
        let excused = |name| annotation(name).and_then(|text| Version::parse(&text).ok());
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            version: version(meta),
            labels: meta.labels.clone().unwrap_or_default(),
            unschedulable: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
            record: DisruptionRecord::decode(meta.annotations.as_ref()).map_err(|error| error.to_string()),
            ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            hold: annotation(HOLD_ANNOTATION),
            acknowledged: excused(FAILURE_ACKNOWLEDGED_ANNOTATION),
            ignore_window: excused(IGNORE_WINDOW_ANNOTATION),
            managers: meta.managed_fields.clone().unwrap_or_default(),
        }
    }
}
