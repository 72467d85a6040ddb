//! What an agent reports.

use api::shadow::{AgentFailure, BottlerocketShadowStatus, FailureKind};
use api::{Shadow, State, timestamp};
use kube::ResourceExt as _;
use semver::Version;

use super::Host;
use crate::world::World;

impl Host {
    pub(super) fn fail(&mut self, world: &mut World, seen: &Shadow, kind: FailureKind) -> bool {
        let time = timestamp::render(world.now());
        let report = seen.observed.as_ref().unwrap();
        let before = report.failure.as_ref().filter(|failure| failure.kind == kind).map_or(0, |f| f.attempts);
        let version = seen.desired.version.as_ref().unwrap().to_string();
        let original = self.original;
        self.report(world, seen, |status| {
            status.current_state = State::ErrorReset;
            if kind != FailureKind::Drain {
                status.crash_count += 1;
                status.state_transition_failure_timestamp = Some(time.clone());
            }
            if !original {
                status.failure = Some(AgentFailure { kind, version, time, attempts: Some(i64::from(before) + 1) });
            }
        })
    }

    /// Replaces the status: ours only if nothing was written since it was read.
    pub(super) fn report(
        &self,
        world: &mut World,
        seen: &Shadow,
        edit: impl FnOnce(&mut BottlerocketShadowStatus),
    ) -> bool {
        let Some(mut raw) = world.raw_shadow(&self.name).cloned() else { return true };
        if !self.original && raw.resource_version().as_ref() != Some(&seen.resource_version) {
            return true;
        }
        let mut status = raw.status.take().unwrap_or_else(|| self.first_status());
        status.current_version = self.running.to_string();
        status.target_version = self.offered.to_string();
        let offered = [Version::new(1, 21, 0), Version::new(1, 20, 0)].into_iter().filter(|v| *v <= self.offered);
        status.available_versions = (!self.original).then(|| offered.map(|version| version.to_string()).collect());
        edit(&mut status);
        raw.status = Some(status);
        world.put_shadow(&self.name, raw);
        true
    }

    fn first_status(&self) -> BottlerocketShadowStatus {
        serde_json::from_value(serde_json::json!({
            "current_state": "Idle", "crash_count": 0, "current_version": self.running, "target_version": self.offered,
            "agent_version": (!self.original).then_some("0.1.0"),
        }))
        .unwrap()
    }
}
