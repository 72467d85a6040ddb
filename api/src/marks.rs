//! What the operator did to a Node, written on the Node itself before it is done.
//!
//! The marks are one annotation, so that they appear and go in one write and can be made conditional on the Node's
//! resourceVersion together with the cordon or the label they speak of. They name the go they belong to, and what the Node
//! looked like before, so that giving the node back needs nothing but the Node.

use std::collections::BTreeMap;

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::MARKS_ANNOTATION;

/// Longest annotation value that is read; ours have about 300 bytes.
const MAX_LENGTH: usize = 4096;

/// A go: permission to disrupt one node for one version. Renewing it changes neither part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoId {
    /// The version the node is to boot.
    pub version: Version,
    /// When the shadow entered RebootedIntoUpdate (`state_transition_timestamp`).
    pub since: Timestamp,
}

/// The operator's marks on one Node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The go under which the disruption began.
    pub go: GoId,
    /// When the first mark was written.
    pub began: Timestamp,
    /// Whether the Node was cordoned before the first mark.
    pub cordoned_before: bool,
    /// The value of the load-balancer exclusion label before the first mark, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusion_before: Option<String>,
    /// Whether the operator has cordoned the Node (or found it cordoned) since the first mark.
    #[serde(default)]
    pub cordoned: bool,
    /// Whether the operator has set the load-balancer exclusion label since the first mark.
    #[serde(default)]
    pub excluded: bool,
    /// When the drain began: the drain's time counts from here, whichever replica carries it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_began: Option<Timestamp>,
}

/// The annotation is there but does not hold marks: somebody else wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("annotation {MARKS_ANNOTATION} cannot be read: {reason}")]
pub struct UnreadableMarks {
    reason: String,
}

impl Marks {
    /// The first mark of a disruption under `go`, on a Node that looks as given.
    #[must_use]
    pub fn first(go: GoId, now: Timestamp, cordoned_before: bool, exclusion_before: Option<String>) -> Self {
        Self { go, began: now, cordoned_before, exclusion_before, cordoned: false, excluded: false, drain_began: None }
    }

    /// Reads the marks from a Node's annotations.
    ///
    /// # Errors
    /// When the annotation is there and cannot be read. Such a Node counts as in flight and is not touched.
    pub fn decode(annotations: Option<&BTreeMap<String, String>>) -> Result<Option<Self>, UnreadableMarks> {
        let Some(text) = annotations.and_then(|all| all.get(MARKS_ANNOTATION)) else {
            return Ok(None);
        };
        if text.len() > MAX_LENGTH {
            return Err(UnreadableMarks { reason: format!("longer than {MAX_LENGTH} bytes") });
        }
        serde_json::from_str(text).map(Some).map_err(|error| UnreadableMarks { reason: error.to_string() })
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

    fn marks() -> Marks {
        let since = "2026-11-22T05:34:15.918102166Z".parse().unwrap();
        let go = GoId { version: Version::new(1, 20, 0), since };
        Marks { excluded: true, drain_began: Some(since), ..Marks::first(go, since, true, Some("x".to_owned())) }
    }

    fn on_node(value: String) -> BTreeMap<String, String> {
        BTreeMap::from([(MARKS_ANNOTATION.to_owned(), value)])
    }

    #[test]
    fn marks_survive_the_node() {
        let annotations = on_node(marks().encode());
        assert_eq!(Marks::decode(Some(&annotations)), Ok(Some(marks())));
    }

    #[test]
    fn a_node_without_the_annotation_has_no_marks() {
        assert_eq!(Marks::decode(None), Ok(None));
        assert_eq!(Marks::decode(Some(&BTreeMap::new())), Ok(None));
    }

    #[test]
    fn what_somebody_else_wrote_is_an_error_and_not_an_absence() {
        for forged in [String::new(), "true".to_owned(), "{}".to_owned(), "[".repeat(10_000)] {
            assert!(Marks::decode(Some(&on_node(forged))).is_err());
        }
    }
}
