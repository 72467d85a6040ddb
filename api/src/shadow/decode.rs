//! A shadow as the rules read it: versions and times parsed once, at the edge.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use semver::Version;
use thiserror::Error;

use super::{
    Activity, BottlerocketShadow, BottlerocketShadowStatus, FailureKind, FailureVerdict, OnTimeout, Pin, State, Verdict,
};
use crate::record::ApprovalId;
use crate::timestamp;

/// The Node a shadow belongs to, from its owner reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRef {
    /// The Node's name.
    pub name: String,
    /// The Node's uid.
    pub uid: String,
}

/// One node's shadow, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Shadow {
    /// `brs-<node>`.
    pub name: String,
    /// The object's uid, the precondition of every write.
    pub uid: String,
    /// The object's resourceVersion, the precondition of every write.
    pub resource_version: String,
    /// The Node that owns it.
    pub node: NodeRef,
    /// What the controller asks for.
    pub desired: Desired,
    /// What the agent reported last, if it ever did.
    pub observed: Option<Observed>,
    /// The pin of the host's version-lock that the Node told of when the shadow was created; see [`Shadow::pin`].
    pub recorded_pin: Option<Pin>,
    /// What the controller said of the node last.
    pub conditions: Vec<Condition>,
}

/// The spec of a shadow: what the controller asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// The state asked for.
    pub state: State,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The version it is about.
    pub version: Option<Version>,
    /// The policy it is asked under. The original operator never writes one.
    pub policy: Option<String>,
    /// When the approval expires.
    pub disrupt_not_after: Option<Timestamp>,
    /// Seconds between exclusion and drain.
    pub exclusion_wait_seconds: u32,
    /// Seconds a drain may take, and what then.
    pub drain: Option<(u32, OnTimeout)>,
}

impl Desired {
    /// The approval that this spec gives, whether or not it has expired. `None` in every other state, and for a spec of the original
    /// operator, which knows no expiry.
    #[must_use]
    pub fn approval(&self) -> Option<ApprovalId> {
        match (self.state, &self.version, self.since, self.disrupt_not_after) {
            (State::RebootedIntoUpdate, Some(version), Some(since), Some(_)) => {
                Some(ApprovalId { version: version.clone(), since })
            }
            _ => None,
        }
    }

    /// The approval under which the original operator has begun a disruption, if it has: its specs name no policy and no expiry, and
    /// past the approval it has touched the node, or is about to. What it did left no record; see [`crate::names::ORIGINALS_EXCLUSION`].
    #[must_use]
    pub fn begun_by_the_original(&self) -> Option<ApprovalId> {
        let past_the_approval = matches!(self.state, State::RebootedIntoUpdate | State::MonitoringUpdate);
        let originals = self.policy.is_none() && self.disrupt_not_after.is_none();
        match (&self.version, self.since) {
            (Some(version), Some(since)) if past_the_approval && originals => {
                Some(ApprovalId { version: version.clone(), since })
            }
            _ => None,
        }
    }

    /// Whether the approval it gives may still be begun at `now`.
    #[must_use]
    pub fn approval_is_valid(&self, now: Timestamp) -> bool {
        self.approval().is_some() && self.disrupt_not_after.is_some_and(|expiry| now < expiry)
    }
}

/// The reboot an agent asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebooting {
    /// Into this version.
    pub version: Version,
    /// From this one.
    pub from_version: Version,
    /// Under this boot id.
    pub boot_id: String,
}

/// The last failure an agent met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// With which version.
    pub version: Version,
    /// When.
    pub time: Timestamp,
    /// How often in a row.
    pub attempts: u32,
}

/// The agent's part of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// How far the node is.
    pub state: State,
    /// The version it runs.
    pub current_version: Version,
    /// The version the host would update to by itself.
    pub target_version: Version,
    /// Failures in a row.
    pub crash_count: u32,
    /// When the last of them happened.
    pub failed_at: Option<Timestamp>,
    /// The agent's version; `None` with an original agent.
    pub agent_version: Option<String>,
    /// What the host is offered.
    pub available_versions: Vec<Version>,
    /// What the agent is doing.
    pub activity: Option<Activity>,
    /// One line about it.
    pub message: Option<String>,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// The reboot that was asked for.
    pub rebooting: Option<Rebooting>,
    /// The host's version-lock before the agent pinned it, as long as it is pinned.
    pub version_lock_before: Option<String>,
    /// The host's version-lock, where somebody other than the agent has set it.
    pub version_lock: Option<String>,
    /// When the drain may begin, while the node is out of the load balancers before it.
    pub drain_not_before: Option<Timestamp>,
    /// Since when the host is reported to give no answer, while it gives none.
    pub host_unreachable_since: Option<Timestamp>,
    /// The controller's own verdict.
    pub failed: Option<Failed>,
}

/// The controller's verdict on an update that did not become healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What went wrong.
    pub kind: Verdict,
    /// With which version.
    pub version: Version,
    /// When.
    pub time: Timestamp,
}

impl Failed {
    /// As a shadow stores it.
    #[must_use]
    pub fn stored(&self) -> FailureVerdict {
        FailureVerdict { kind: self.kind, version: self.version.to_string(), time: timestamp::render(self.time) }
    }
}

impl Observed {
    /// A report of these three and nothing else.
    #[must_use]
    pub const fn new(state: State, current_version: Version, target_version: Version) -> Self {
        Self {
            state,
            current_version,
            target_version,
            crash_count: 0,
            failed_at: None,
            agent_version: None,
            available_versions: Vec::new(),
            activity: None,
            message: None,
            failure: None,
            rebooting: None,
            version_lock_before: None,
            version_lock: None,
            drain_not_before: None,
            host_unreachable_since: None,
            failed: None,
        }
    }
}

/// Why a shadow cannot be read. Such a shadow counts as in flight and gets no action.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("shadow {shadow}: {field} cannot be read: {reason}")]
pub struct UnreadableShadow {
    /// The shadow's name.
    pub shadow: String,
    /// The field that stands in the way.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl TryFrom<&BottlerocketShadow> for Shadow {
    type Error = UnreadableShadow;

    fn try_from(raw: &BottlerocketShadow) -> Result<Self, Self::Error> {
        let name = raw.name_any();
        let read = |field, reason: String| UnreadableShadow { shadow: name.clone(), field, reason };
        let missing = |field| read(field, "it is missing".to_owned());
        let owner = raw.owner_references().iter().find(|owner| owner.kind == "Node" && owner.api_version == "v1");
        let owner = owner.ok_or_else(|| missing("metadata.ownerReferences"))?;
        Ok(Self {
            uid: raw.uid().ok_or_else(|| missing("metadata.uid"))?,
            resource_version: raw.resource_version().ok_or_else(|| missing("metadata.resourceVersion"))?,
            node: NodeRef { name: owner.name.clone(), uid: owner.uid.clone() },
            recorded_pin: raw.recorded_pin(),
            conditions: raw.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default(),
            desired: desired(raw).map_err(|(field, reason)| read(field, reason))?,
            observed: raw.status.as_ref().map(Observed::try_from).transpose().map_err(|(f, reason)| read(f, reason))?,
            name,
        })
    }
}

/// A field that cannot be read, and why.
type Unreadable = (&'static str, String);

fn desired(raw: &BottlerocketShadow) -> Result<Desired, Unreadable> {
    let spec = &raw.spec;
    Ok(Desired {
        state: spec.state,
        since: optional_time("spec.state_transition_timestamp", spec.state_transition_timestamp.as_deref())?,
        version: spec.version.as_deref().map(|text| version("spec.version", text)).transpose()?,
        policy: spec.policy.clone(),
        disrupt_not_after: optional_time("spec.disrupt_not_after", spec.disrupt_not_after.as_deref())?,
        exclusion_wait_seconds: count(
            "spec.exclude_from_lb_wait_time_in_sec",
            spec.exclude_from_lb_wait_time_in_sec.unwrap_or(0),
        )?,
        drain: spec
            .drain
            .as_ref()
            .map(|drain| count("spec.drain.timeout_seconds", drain.timeout_seconds).map(|s| (s, drain.on_timeout)))
            .transpose()?,
    })
}

impl TryFrom<&BottlerocketShadowStatus> for Observed {
    type Error = Unreadable;

    fn try_from(raw: &BottlerocketShadowStatus) -> Result<Self, Self::Error> {
        let available = raw.available_versions.iter().flatten();
        Ok(Self {
            state: raw.current_state,
            current_version: version("status.current_version", &raw.current_version)?,
            target_version: version("status.target_version", &raw.target_version)?,
            crash_count: count("status.crash_count", raw.crash_count)?,
            failed_at: optional_time(
                "status.state_transition_failure_timestamp",
                raw.state_transition_failure_timestamp.as_deref(),
            )?,
            agent_version: raw.agent_version.clone(),
            available_versions: available
                .map(|text| version("status.available_versions", text))
                .collect::<Result<_, _>>()?,
            activity: raw.activity,
            message: raw.message.clone(),
            failure: raw.failure.as_ref().map(failure).transpose()?,
            rebooting: raw.rebooting.as_ref().map(rebooting).transpose()?,
            version_lock_before: raw.version_lock_before.clone(),
            version_lock: raw.version_lock.clone(),
            drain_not_before: optional_time("status.drain_not_before", raw.drain_not_before.as_deref())?,
            host_unreachable_since: optional_time(
                "status.host_unreachable_since",
                raw.host_unreachable_since.as_deref(),
            )?,
            failed: raw.failed.as_ref().map(Failed::try_from).transpose()?,
        })
    }
}

impl TryFrom<&FailureVerdict> for Failed {
    type Error = (&'static str, String);

    fn try_from(raw: &FailureVerdict) -> Result<Self, Self::Error> {
        Ok(Self {
            kind: raw.kind,
            version: version("status.failed.version", &raw.version)?,
            time: time("status.failed.time", &raw.time)?,
        })
    }
}

fn failure(raw: &super::AgentFailure) -> Result<Failure, Unreadable> {
    Ok(Failure {
        kind: raw.kind,
        version: version("status.failure.version", &raw.version)?,
        time: time("status.failure.time", &raw.time)?,
        attempts: count("status.failure.attempts", raw.attempts.unwrap_or(1))?,
    })
}

fn rebooting(raw: &super::RebootIntent) -> Result<Rebooting, Unreadable> {
    Ok(Rebooting {
        version: version("status.rebooting.version", &raw.version)?,
        from_version: version("status.rebooting.from_version", &raw.from_version)?,
        boot_id: raw.boot_id.clone(),
    })
}

fn version(field: &'static str, text: &str) -> Result<Version, Unreadable> {
    Version::parse(text).map_err(|error| (field, format!("{text:?}: {error}")))
}

fn time(field: &'static str, text: &str) -> Result<Timestamp, Unreadable> {
    timestamp::parse(text).map_err(|error| (field, format!("{text:?}: {error}")))
}

fn optional_time(field: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, Unreadable> {
    text.map(|text| time(field, text)).transpose()
}

fn count(field: &'static str, number: i64) -> Result<u32, Unreadable> {
    u32::try_from(number).map_err(|_| (field, format!("{number} is out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::BottlerocketShadowSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    fn raw() -> BottlerocketShadow {
        let mut shadow = BottlerocketShadow::new("brs-a", BottlerocketShadowSpec::default());
        shadow.metadata.uid = Some("u1".to_owned());
        shadow.metadata.resource_version = Some("7".to_owned());
        shadow.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: "a".to_owned(),
            uid: "n1".to_owned(),
            ..OwnerReference::default()
        }]);
        shadow
    }

    fn original_status() -> BottlerocketShadowStatus {
        serde_json::from_str(
            r#"{"current_version":"1.19.0","target_version":"1.20.0","current_state":"Idle","crash_count":0,"state_transition_failure_timestamp":null}"#,
        )
        .unwrap()
    }

    #[test]
    fn what_an_original_agent_reports_is_read() {
        let shadow = BottlerocketShadow { status: Some(original_status()), ..raw() };
        let observed = Shadow::try_from(&shadow).unwrap().observed.unwrap();
        assert_eq!(observed.target_version, Version::new(1, 20, 0));
        assert_eq!(observed.agent_version, None);
    }

    #[test]
    fn a_version_beyond_64_bits_is_an_error_that_names_the_field() {
        let mut shadow = raw();
        shadow.spec.version = Some("99999999999999999999.0.0".to_owned());
        let error = Shadow::try_from(&shadow).unwrap_err();
        assert_eq!(error.field, "spec.version");
        assert!(error.to_string().starts_with("shadow brs-a: spec.version cannot be read"), "{error}");
    }

    #[test]
    fn a_shadow_without_its_node_is_an_error() {
        let mut shadow = raw();
        shadow.metadata.owner_references = None;
        assert_eq!(Shadow::try_from(&shadow).unwrap_err().field, "metadata.ownerReferences");
    }

    #[test]
    fn renewing_an_approval_leaves_its_name_as_it_was() {
        let mut shadow = raw();
        shadow.spec = BottlerocketShadowSpec {
            state: State::RebootedIntoUpdate,
            state_transition_timestamp: Some("2026-11-22T01:00:00Z".to_owned()),
            version: Some("1.20.0".to_owned()),
            disrupt_not_after: Some("2026-11-22T01:10:00Z".to_owned()),
            ..BottlerocketShadowSpec::default()
        };
        let first = Shadow::try_from(&shadow).unwrap().desired;
        shadow.spec.disrupt_not_after = Some("2026-11-22T01:15:00Z".to_owned());
        let renewed = Shadow::try_from(&shadow).unwrap().desired;
        assert_eq!(first.approval(), renewed.approval());
        let between = "2026-11-22T01:12:00Z".parse().unwrap();
        assert!(!first.approval_is_valid(between));
        assert!(renewed.approval_is_valid(between));
    }

    #[test]
    fn an_order_of_the_original_operator_is_no_approval_of_ours() {
        let mut shadow = raw();
        shadow.spec.state = State::RebootedIntoUpdate;
        shadow.spec.version = Some("1.20.0".to_owned());
        shadow.spec.state_transition_timestamp = Some("2022-07-09T19:32:38.609610964+00:00".to_owned());
        assert_eq!(Shadow::try_from(&shadow).unwrap().desired.approval(), None);
    }
}
