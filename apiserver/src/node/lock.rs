//! The record on the Node of what the host's version-lock was before the agent pinned it.
//!
//! It is there before the report that says so is stored, and goes after the report that no longer does, so that at no moment
//! a pinned host is without a record. A crash between the two leaves a record of a lock that is back in place; the next pin
//! writes over it.

use api::BottlerocketShadowStatus;
use api::names::VERSION_LOCK_BEFORE_ANNOTATION;
use api::shadow::Pin;
use serde_json::{Value, json};

use super::facts::NodeFacts;
/// What a report means for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockRecord {
    /// It stays as it is.
    Keep,
    /// It must say this before the report is stored.
    Before(Pin),
    /// It goes once the report is stored.
    After,
}

/// What `report` means for the record, when the shadow told of the pin `before` so far.
#[must_use]
pub fn lock_record(report: &BottlerocketShadowStatus, before: Option<&Pin>) -> LockRecord {
    match report.pin() {
        Some(pin) if before == Some(&pin) => LockRecord::Keep,
        Some(pin) => LockRecord::Before(pin),
        // An original agent knows of no pin: what ours has recorded is for when ours is back.
        None if report.agent_version.is_none() => LockRecord::Keep,
        None if before.is_some() => LockRecord::After,
        None => LockRecord::Keep,
    }
}

/// The merge patch that makes the record tell of `pin`, or of none, if the Node is still as `node` says.
#[must_use]
pub fn lock_patch(node: &NodeFacts, pin: Option<&Pin>) -> Value {
    json!({"metadata": {
        "uid": node.id.uid,
        "resourceVersion": node.resource_version,
        "annotations": { VERSION_LOCK_BEFORE_ANNOTATION: pin.map(Pin::encode) },
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(agent: Option<&str>, lock: Option<&str>) -> BottlerocketShadowStatus {
        serde_json::from_value(json!({
            "current_version": "1.19.0", "target_version": "1.20.0", "current_state": "Idle", "crash_count": 0,
            "agent_version": agent, "version_lock_before": lock,
        }))
        .unwrap()
    }

    #[test]
    fn the_record_comes_before_the_report_and_goes_after_it() {
        let ours = |lock| status(Some("0.1.0"), lock);
        let pinned = ours(Some("latest"));
        let pin = |before: &str, set: &str| Pin { before: before.to_owned(), set: set.to_owned() };
        let now = pin("latest", "1.20.0");
        assert_eq!(lock_record(&pinned, None), LockRecord::Before(now.clone()));
        assert_eq!(lock_record(&pinned, Some(&pin("1.18.0", "1.20.0"))), LockRecord::Before(now.clone()));
        assert_eq!(lock_record(&pinned, Some(&pin("latest", "1.19.5"))), LockRecord::Before(now.clone()));
        assert_eq!(lock_record(&pinned, Some(&now)), LockRecord::Keep);
        assert_eq!(lock_record(&ours(None), Some(&now)), LockRecord::After);
        assert_eq!(lock_record(&ours(None), None), LockRecord::Keep);
    }

    #[test]
    fn an_original_agent_leaves_the_record_alone() {
        let pin = Pin { before: "latest".to_owned(), set: "1.20.0".to_owned() };
        assert_eq!(lock_record(&status(None, None), Some(&pin)), LockRecord::Keep);
    }
}
