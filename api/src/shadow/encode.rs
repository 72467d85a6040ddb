//! A parsed report as it is stored: the way back from [`super::decode`].

use super::{AgentFailure, BottlerocketShadowStatus, Failure, Observed, RebootIntent, Rebooting};
use crate::timestamp;

impl From<&Observed> for BottlerocketShadowStatus {
    /// The agent's part of the status. What the controller adds is not the agent's to send.
    fn from(observed: &Observed) -> Self {
        Self {
            current_version: observed.current_version.to_string(),
            target_version: observed.target_version.to_string(),
            current_state: observed.state,
            crash_count: observed.crash_count.into(),
            state_transition_failure_timestamp: observed.failed_at.map(timestamp::render),
            agent_version: observed.agent_version.clone(),
            available_versions: (!observed.available_versions.is_empty())
                .then(|| observed.available_versions.iter().map(ToString::to_string).collect()),
            activity: observed.activity,
            message: observed.message.clone(),
            failure: observed.failure.as_ref().map(AgentFailure::from),
            rebooting: observed.rebooting.as_ref().map(RebootIntent::from),
            version_lock_before: observed.version_lock_before.clone(),
            version_lock: observed.version_lock.clone(),
            drain_not_before: observed.drain_not_before.map(timestamp::render),
            host_unreachable_since: observed.host_unreachable_since.map(timestamp::render),
            conditions: None,
            failed: None,
        }
    }
}

impl From<&Failure> for AgentFailure {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind,
            version: failure.version.to_string(),
            time: timestamp::render(failure.time),
            attempts: Some(failure.attempts.into()),
        }
    }
}

impl From<&Rebooting> for RebootIntent {
    fn from(intent: &Rebooting) -> Self {
        Self {
            version: intent.version.to_string(),
            from_version: intent.from_version.to_string(),
            boot_id: intent.boot_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::{Activity, FailureKind, State};
    use semver::Version;

    #[test]
    fn a_report_survives_being_stored() {
        let time = "2026-11-22T05:34:15.918102166Z".parse().unwrap();
        let version = Version::new(1, 20, 0);
        let observed = Observed {
            crash_count: 2,
            failed_at: Some(time),
            agent_version: Some("0.1.0".to_owned()),
            available_versions: vec![version.clone()],
            activity: Some(Activity::Draining),
            message: Some("3 pods left".to_owned()),
            failure: Some(Failure { kind: FailureKind::Stage, version: version.clone(), time, attempts: 3 }),
            rebooting: Some(Rebooting {
                version: version.clone(),
                from_version: Version::new(1, 19, 0),
                boot_id: "b".to_owned(),
            }),
            version_lock_before: Some("latest".to_owned()),
            version_lock: Some("v1.20.0".to_owned()),
            drain_not_before: Some(time),
            host_unreachable_since: Some(time),
            ..Observed::new(State::ErrorReset, Version::new(1, 19, 0), version)
        };
        assert_eq!(Observed::try_from(&BottlerocketShadowStatus::from(&observed)), Ok(observed));
    }
}
