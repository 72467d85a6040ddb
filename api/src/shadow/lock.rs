//! What a host's version-lock was before it was pinned, as far as its shadow tells.

use kube::ResourceExt;

use super::BottlerocketShadow;
use crate::names::{MAX_VERSION_LOCK, VERSION_LOCK_BEFORE_ANNOTATION};

impl BottlerocketShadow {
    /// The host's `version-lock` before the agent pinned it: as reported; before there is any report, as recorded on the Node
    /// when the shadow was created, which is how an agent learns of a pin whose shadow was lost.
    #[must_use]
    pub fn version_lock_before(&self) -> Option<&str> {
        match &self.status {
            Some(status) => status.version_lock_before.as_deref(),
            None => recorded_lock(self.annotations().get(VERSION_LOCK_BEFORE_ANNOTATION)),
        }
    }
}

/// The record in an annotation, unless nobody of ours can have written it.
#[must_use]
pub fn recorded_lock(annotation: Option<&String>) -> Option<&str> {
    let text = annotation?.as_str();
    (!text.is_empty() && text.chars().count() <= MAX_VERSION_LOCK).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::BottlerocketShadowSpec;

    fn created_with(lock: &str) -> BottlerocketShadow {
        let mut shadow = BottlerocketShadow::new("brs-a", BottlerocketShadowSpec::default());
        shadow.annotations_mut().insert(VERSION_LOCK_BEFORE_ANNOTATION.to_owned(), lock.to_owned());
        shadow
    }

    #[test]
    fn the_record_of_the_node_counts_until_there_is_a_report() {
        let mut shadow = created_with("latest");
        assert_eq!(shadow.version_lock_before(), Some("latest"));
        let report = |lock: Option<&str>| {
            serde_json::json!({
                "current_version": "1.19.0", "target_version": "1.19.0", "current_state": "Idle", "crash_count": 0,
                "version_lock_before": lock,
            })
        };
        for lock in [Some("1.18.0"), None] {
            shadow.status = Some(serde_json::from_value(report(lock)).unwrap());
            assert_eq!(shadow.version_lock_before(), lock);
        }
    }

    #[test]
    fn what_is_no_record_of_ours_is_none() {
        for odd in ["", &"v".repeat(129)] {
            assert_eq!(created_with(odd).version_lock_before(), None);
        }
    }
}
