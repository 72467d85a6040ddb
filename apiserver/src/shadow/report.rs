//! What an agent reports, turned into a write that touches its own fields only.

use api::BottlerocketShadowStatus;
use serde_json::{Map, Value, json};

/// The merge patch that makes `status` the report of a shadow in this state: the fields it lacks go, those of the
/// controller stay.
#[must_use]
pub fn patch(status: &BottlerocketShadowStatus, resource_version: &str) -> Value {
    // A struct of strings and numbers always becomes an object.
    let mut sent = serde_json::to_value(status).unwrap_or_default();
    let fields: Map<String, Value> = BottlerocketShadowStatus::REPORTED_FIELDS
        .iter()
        .map(|field| ((*field).to_owned(), sent[*field].take()))
        .collect();
    json!({ "metadata": { "resourceVersion": resource_version }, "status": fields })
}

#[cfg(test)]
mod tests {
    use api::shadow::{FailureVerdict, Verdict};

    use super::*;

    fn original() -> BottlerocketShadowStatus {
        serde_json::from_value(json!({
            "current_version": "1.19.0", "target_version": "1.20.0", "current_state": "Idle", "crash_count": 0,
            "state_transition_failure_timestamp": null,
        }))
        .unwrap()
    }

    #[test]
    fn an_originals_report_clears_what_only_ours_know_and_leaves_the_controllers_fields() {
        let mut status = original();
        status.failed = Some(FailureVerdict {
            kind: Verdict::Health,
            version: "1.20.0".to_owned(),
            time: "2026-11-22T10:00:00Z".to_owned(),
        });
        let patch = patch(&status, "7");
        assert_eq!(patch["metadata"], json!({"resourceVersion": "7"}));
        let fields = patch["status"].as_object().unwrap();
        assert_eq!(fields.len(), BottlerocketShadowStatus::REPORTED_FIELDS.len());
        assert_eq!(fields["current_version"], "1.19.0");
        assert!(fields["rebooting"].is_null() && fields["agent_version"].is_null());
        assert!(!fields.contains_key("failed") && !fields.contains_key("conditions"));
    }
}
