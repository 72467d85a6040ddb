//! The shadow as the original knows it: v2, nothing optional that was not optional there. What it does not know it ignores.

use jiff::Timestamp;
use kube::core::{ApiResource, Object};
use semver::Version;
use serde::{Deserialize, Serialize};

/// A state, asked for or reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    #[default]
    Idle,
    StagedAndPerformedUpdate,
    RebootedIntoUpdate,
    MonitoringUpdate,
    ErrorReset,
}

/// What the controller asks for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Spec {
    pub(super) state: State,
    pub(super) state_transition_timestamp: Option<String>,
    pub(super) version: Option<String>,
}

/// What the agent reports, in the order in which it is sent. It is never made by default; kube's object type asks for that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Status {
    pub(super) current_version: String,
    pub(super) target_version: String,
    pub(super) current_state: State,
    pub(super) crash_count: u32,
    pub(super) state_transition_failure_timestamp: Option<String>,
}

/// The object in Kubernetes.
pub(super) type Shadow = Object<Spec, Status>;

/// Its kind.
pub(super) fn kind() -> ApiResource {
    ApiResource {
        group: "brupop.bottlerocket.aws".into(),
        version: "v2".into(),
        api_version: "brupop.bottlerocket.aws/v2".into(),
        kind: "BottlerocketShadow".into(),
        plural: "bottlerocketshadows".into(),
    }
}

/// What is asked of the answer to a creation.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata")]
    _metadata: kube::core::ObjectMeta,
    #[serde(rename = "spec")]
    _spec: Spec,
    #[serde(rename = "status", default)]
    _status: Option<Status>,
}

impl Spec {
    /// The version asked for.
    pub(super) fn version(&self) -> anyhow::Result<Option<Version>> {
        Ok(self.version.as_deref().map(Version::parse).transpose()?)
    }
}

/// A moment as the original writes it: nine decimals, and `+00:00` for UTC.
pub(super) fn render(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.9f+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_original_writes_them() {
        let moment: Timestamp = "2022-07-09T19:32:38.609610964Z".parse().unwrap();
        assert_eq!(render(moment), "2022-07-09T19:32:38.609610964+00:00");
    }

    #[test]
    fn an_answer_without_a_kind_is_none() {
        let text = r#"{"metadata":{"name":"brs-a"},"spec":{"state":"Idle"}}"#;
        assert!(serde_json::from_str::<Created>(text).is_err());
    }
}
