//! One node through one update, seen from outside.

use std::time::Duration;

use anyhow::Context;
use api::shadow::Activity;
use api::{State, names};
use jiff::Timestamp;
use kube::ResourceExt;
use semver::Version;

use crate::controlplane::wait::eventually;
use crate::fleet::Fleet;

/// The original takes four minutes.
const PATIENCE: Duration = Duration::from_secs(900);

/// What was asked, reported and done at one time.
type Progress = (State, Option<State>, Option<Activity>);

/// The update's beginning and end, and what was seen in between.
pub(super) struct Followed {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) steps: Vec<(Timestamp, Progress)>,
}

/// Waits until the node is asked to stage; answers since when.
pub(super) async fn begun(fleet: &Fleet, node: &str) -> anyhow::Result<Timestamp> {
    eventually("the node to be started", PATIENCE, async || {
        let desired = fleet.shadow(node).await?.spec;
        if desired.state != State::StagedAndPerformedUpdate {
            return Ok(None);
        }
        let since = desired.state_transition_timestamp.context("a spec without a time")?;
        Ok(Some(api::timestamp::parse(&since)?))
    })
    .await
}

/// Follows an update that began at `from` to its end.
pub(super) async fn follow(fleet: &Fleet, node: &str, to: &Version, from: Timestamp) -> anyhow::Result<Followed> {
    let mut steps: Vec<(Timestamp, Progress)> = Vec::new();
    let end = eventually("the update to end", PATIENCE, async || {
        let shadow = fleet.shadow(node).await?;
        let object = fleet.node_objects().get(node).await?;
        let now = runtime::clock::now();
        let status = shadow.status.as_ref();
        let progress =
            (shadow.spec.state, status.map(|status| status.current_state), status.and_then(|status| status.activity));
        if steps.last().is_none_or(|(_, last)| *last != progress) {
            steps.push((now, progress));
        }
        let runs = status.is_some_and(|status| status.current_version == to.to_string());
        let free = object.spec.as_ref().and_then(|spec| spec.unschedulable) != Some(true)
            && !object.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION);
        Ok((runs && free && progress.0 == State::Idle && progress.1 == Some(State::Idle)).then_some(now))
    });
    let to = end.await?;
    Ok(Followed { from, to, steps })
}
