//! The pin of a host's version-lock: what was there before, and what is there now. It is told by the report; a second record
//! on the Node outlives the shadow.

use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::{BottlerocketShadow, BottlerocketShadowStatus, Observed, Shadow};
use crate::names::{MAX_VERSION_LOCK, VERSION_LOCK_BEFORE_ANNOTATION};

/// A pin of the host's version-lock by the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// What the lock was before, and is restored to.
    pub before: String,
    /// The version it was set to. A lock that says something else is somebody else's by now and stays.
    pub set: String,
}

impl Pin {
    /// Reads the record in an annotation, unless nobody of ours can have written it.
    #[must_use]
    pub fn decode(annotation: Option<&String>) -> Option<Self> {
        let text = annotation.filter(|text| text.len() <= 16 * MAX_VERSION_LOCK)?;
        let pin: Self = serde_json::from_str(text).ok()?;
        let bounded = |lock: &str| (1..=MAX_VERSION_LOCK).contains(&lock.chars().count());
        (bounded(&pin.before) && bounded(&pin.set)).then_some(pin)
    }

    /// The annotation's value.
    #[must_use]
    pub fn encode(&self) -> String {
        // Writing two strings into memory has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl BottlerocketShadowStatus {
    /// The pin that a report tells of: while there is one, the target is the version the host is held to.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        let before = self.version_lock_before.clone()?;
        Some(Pin { before, set: self.target_version.clone() })
    }
}

impl BottlerocketShadow {
    /// The pin as reported; before there is any report, as recorded on the Node when the shadow was created, which is how an
    /// agent learns of a pin whose shadow was lost.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        match &self.status {
            Some(status) => status.pin(),
            None => self.recorded_pin(),
        }
    }

    pub(super) fn recorded_pin(&self) -> Option<Pin> {
        Pin::decode(self.annotations().get(VERSION_LOCK_BEFORE_ANNOTATION))
    }
}

impl Shadow {
    /// As [`BottlerocketShadow::pin`].
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        let told = |observed: &Observed| {
            let before = observed.version_lock_before.clone()?;
            Some(Pin { before, set: observed.target_version.to_string() })
        };
        self.observed.as_ref().map_or_else(|| self.recorded_pin.clone(), told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::BottlerocketShadowSpec;

    fn created_with(record: &str) -> BottlerocketShadow {
        let mut shadow = BottlerocketShadow::new("brs-a", BottlerocketShadowSpec::default());
        shadow.annotations_mut().insert(VERSION_LOCK_BEFORE_ANNOTATION.to_owned(), record.to_owned());
        shadow
    }

    fn pin(before: &str, set: &str) -> Pin {
        Pin { before: before.to_owned(), set: set.to_owned() }
    }

    #[test]
    fn the_record_of_the_node_counts_until_there_is_a_report() {
        let mut shadow = created_with(&pin("latest", "1.20.0").encode());
        assert_eq!(shadow.pin(), Some(pin("latest", "1.20.0")));
        let observed = |lock: Option<&str>| {
            serde_json::json!({
                "current_version": "1.19.0", "target_version": "1.21.0", "current_state": "Idle", "crash_count": 0,
                "version_lock_before": lock,
            })
        };
        for lock in [Some("1.18.0"), None] {
            shadow.status = Some(serde_json::from_value(observed(lock)).unwrap());
            assert_eq!(shadow.pin(), lock.map(|lock| pin(lock, "1.21.0")));
        }
    }

    #[test]
    fn what_is_no_record_of_ours_is_none() {
        let long = pin("latest", &"v".repeat(129)).encode();
        for odd in ["", "latest", "{}", r#"{"before":"","set":"1.20.0"}"#, &long, &"[".repeat(10_000)] {
            assert_eq!(created_with(odd).pin(), None, "{odd}");
        }
    }
}
