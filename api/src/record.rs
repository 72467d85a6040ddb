//! What the operator did to a Node, written on the Node itself before it is done.
//!
//! The record is one annotation, so that it appears and goes in one write and can be made conditional on the Node's resourceVersion
//! together with the cordon or the label it speaks of. It names the approval it belongs to, and what the Node looked like before, so that
//! restoring the node needs nothing but the Node.

use std::collections::BTreeMap;

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::DISRUPTION_RECORD_ANNOTATION;

/// Longest annotation value that is read; ours have about 300 bytes.
const MAX_LENGTH: usize = 4096;

/// An approval: permission to disrupt one node for one version. Renewing it changes neither part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalId {
    /// The version the node is to boot.
    pub version: Version,
    /// When the shadow entered RebootedIntoUpdate (`state_transition_timestamp`).
    pub since: Timestamp,
}

/// What the operator did to one Node, and how the Node was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisruptionRecord {
    /// The approval under which the disruption began.
    #[serde(rename = "go")]
    pub approval: ApprovalId,
    /// When the record was written first.
    pub began: Timestamp,
    /// Whether the Node was cordoned before the record was written first.
    pub cordoned_before: bool,
    /// The value of the load-balancer exclusion label before the record was written first, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusion_before: Option<String>,
    /// Whether the operator has cordoned the Node (or found it cordoned) since then.
    #[serde(default)]
    pub cordoned: bool,
    /// Whether the operator has set the load-balancer exclusion label since then.
    #[serde(default)]
    pub excluded: bool,
    /// When the drain began: the drain's time counts from here, whichever replica carries it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_began: Option<Timestamp>,
}

/// The annotation is there but does not hold a record: somebody else wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("annotation {DISRUPTION_RECORD_ANNOTATION} cannot be read: {reason}")]
pub struct UnreadableRecord {
    reason: String,
}

impl DisruptionRecord {
    /// The first record of a disruption under `approval`, on a Node that looks as given.
    #[must_use]
    pub fn first(
        approval: ApprovalId,
        now: Timestamp,
        cordoned_before: bool,
        exclusion_before: Option<String>,
    ) -> Self {
        Self {
            approval,
            began: now,
            cordoned_before,
            exclusion_before,
            cordoned: false,
            excluded: false,
            drain_began: None,
        }
    }

    /// Reads the record from a Node's annotations.
    ///
    /// # Errors
    /// When the annotation is there and cannot be read. Such a Node counts as in flight and is not touched.
    pub fn decode(annotations: Option<&BTreeMap<String, String>>) -> Result<Option<Self>, UnreadableRecord> {
        let Some(text) = annotations.and_then(|all| all.get(DISRUPTION_RECORD_ANNOTATION)) else {
            return Ok(None);
        };
        if text.len() > MAX_LENGTH {
            return Err(UnreadableRecord { reason: format!("longer than {MAX_LENGTH} bytes") });
        }
        serde_json::from_str(text).map(Some).map_err(|error| UnreadableRecord { reason: error.to_string() })
    }

    /// The annotation's value.
    #[must_use]
    pub fn encode(&self) -> String {
        // Writing strings, booleans and timestamps into memory has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> DisruptionRecord {
        let since = "2026-11-22T05:34:15.918102166Z".parse().unwrap();
        let approval = ApprovalId { version: Version::new(1, 20, 0), since };
        DisruptionRecord {
            excluded: true,
            drain_began: Some(since),
            ..DisruptionRecord::first(approval, since, true, Some("x".to_owned()))
        }
    }

    fn on_node(value: String) -> BTreeMap<String, String> {
        BTreeMap::from([(DISRUPTION_RECORD_ANNOTATION.to_owned(), value)])
    }

    #[test]
    fn a_record_survives_the_node() {
        let annotations = on_node(record().encode());
        assert_eq!(DisruptionRecord::decode(Some(&annotations)), Ok(Some(record())));
    }

    #[test]
    fn the_annotation_keeps_its_form_across_versions() {
        let stored = r#"{"go":{"version":"1.20.0","since":"2026-11-22T05:34:15.918102166Z"},"began":"2026-11-22T05:34:15.918102166Z","cordoned_before":true,"exclusion_before":"x","cordoned":false,"excluded":true,"drain_began":"2026-11-22T05:34:15.918102166Z"}"#;
        assert_eq!(record().encode(), stored);
    }

    #[test]
    fn a_node_without_the_annotation_has_no_record() {
        assert_eq!(DisruptionRecord::decode(None), Ok(None));
        assert_eq!(DisruptionRecord::decode(Some(&BTreeMap::new())), Ok(None));
    }

    #[test]
    fn what_somebody_else_wrote_is_an_error_and_not_an_absence() {
        for forged in [String::new(), "true".to_owned(), "{}".to_owned(), "[".repeat(10_000)] {
            assert!(DisruptionRecord::decode(Some(&on_node(forged))).is_err());
        }
    }
}
