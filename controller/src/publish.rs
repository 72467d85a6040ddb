//! Publishes what was decided: policy statuses, and the conditions and verdicts of shadows, written only when they change.

use std::collections::BTreeMap;
use std::future::ready;

use api::{BottlerocketShadow, UpdatePolicyStatus};
use futures::{StreamExt as _, stream};
use runtime::health::Heartbeat;

use crate::lease::Leadership;
use crate::shadow_status::ShadowStatus;
use crate::snapshot::{PolicyFacts, Snapshot};
use crate::write::{WriteError, Writer};

/// Most writes under way at once.
const CONCURRENCY: usize = 16;

/// Writes conditions, with a sign of life for each; the answers are the shadows as they are now.
pub(crate) async fn publish_conditions(
    writer: &Writer,
    leadership: &Leadership,
    heartbeat: &Heartbeat,
    changed: Vec<ShadowStatus>,
) -> Vec<Result<BottlerocketShadow, (String, WriteError)>> {
    let write =
        |change: ShadowStatus| async move { writer.conditions(&change).await.map_err(|error| (change.shadow, error)) };
    let begun = stream::iter(changed).take_while(|_| ready(leadership.holds()));
    begun.map(write).buffer_unordered(CONCURRENCY).inspect(|_| heartbeat.beat()).collect().await
}

/// A policy's status as it should be.
#[derive(Debug, PartialEq)]
pub(crate) struct PolicyStatus {
    pub(crate) policy: String,
    uid: String,
    status: UpdatePolicyStatus,
}

/// The statuses that differ from what is stored.
pub(crate) fn changed_statuses(
    snapshot: &Snapshot,
    statuses: BTreeMap<String, UpdatePolicyStatus>,
) -> Vec<PolicyStatus> {
    let with_facts = statuses.into_iter().filter_map(|(name, status)| Some((snapshot.policies.get(&name)?, status)));
    let changed = with_facts.filter(|(facts, status)| facts.status.as_ref() != Some(status));
    let change = |(facts, status): (&PolicyFacts, _)| PolicyStatus {
        policy: facts.name.clone(),
        uid: facts.uid.clone(),
        status,
    };
    changed.map(change).collect()
}

/// Writes statuses, with a sign of life for each; says of each policy what was written.
pub(crate) async fn publish_statuses(
    writer: &Writer,
    leadership: &Leadership,
    heartbeat: &Heartbeat,
    changed: Vec<PolicyStatus>,
) -> Vec<(String, Result<UpdatePolicyStatus, WriteError>)> {
    let write = |change: PolicyStatus| async move {
        let written = writer.policy_status(&change.policy, &change.uid, &change.status).await;
        (change.policy, written.map(|_| change.status))
    };
    let begun = stream::iter(changed).take_while(|_| ready(leadership.holds()));
    begun.map(write).buffer_unordered(CONCURRENCY).inspect(|_| heartbeat.beat()).collect().await
}
