//! Publishes what was decided: policy statuses and the shadows' `Held` conditions, written only when they change.

use std::{collections::BTreeMap, future::ready};

use api::{
    BottlerocketShadow, UpdatePolicyStatus,
    condition::{Statement, merge},
};
use futures::{StreamExt as _, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    lease::Mandate,
    plan::{Plan, Standing},
    snapshot::{PolicyFacts, Snapshot},
    write::{WriteError, Writer},
};

/// Most writes under way at once.
const CONCURRENCY: usize = 8;

/// A shadow's conditions as they should be.
#[derive(Debug, PartialEq)]
pub(crate) struct Conditions {
    pub(crate) shadow: String,
    uid: String,
    conditions: Vec<Condition>,
}

/// The conditions that differ from what is stored. A node that moves or is up to date has none: an empty column says more
/// than a reason that means "no".
pub(crate) fn changed_conditions(snapshot: &Snapshot, plan: &Plan) -> Vec<Conditions> {
    plan.nodes.iter().filter_map(|(node, standing)| conditions(snapshot, node, standing)).collect()
}

fn conditions(snapshot: &Snapshot, node: &str, standing: &Standing) -> Option<Conditions> {
    let shadow = snapshot.shadows.get(node).and_then(|shadow| shadow.readable())?;
    // Before the first report there is no status that conditions could be applied to.
    shadow.report.as_ref()?;
    let held = standing.hold.as_ref().map(|hold| Statement {
        kind: "Held",
        holds: Some(true),
        reason: hold.reason.as_str(),
        message: hold.message.clone(),
    });
    let conditions = merge(&shadow.conditions, held.as_slice(), None, snapshot.now);
    (conditions != shadow.conditions).then(|| Conditions {
        shadow: shadow.name.clone(),
        uid: shadow.uid.clone(),
        conditions,
    })
}

/// Writes conditions; the answers are the shadows as they are now.
pub(crate) async fn publish_conditions(
    writer: &Writer,
    mandate: &Mandate,
    changed: Vec<Conditions>,
) -> Vec<Result<BottlerocketShadow, (String, WriteError)>> {
    let write = |change: Conditions| async move {
        let written = writer.conditions(&change.shadow, &change.uid, &change.conditions).await;
        written.map_err(|error| (change.shadow, error))
    };
    let begun = stream::iter(changed).take_while(|_| ready(mandate.holds()));
    begun.map(write).buffer_unordered(CONCURRENCY).collect().await
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

/// Writes statuses; says of each policy what was written.
pub(crate) async fn publish_statuses(
    writer: &Writer,
    mandate: &Mandate,
    changed: Vec<PolicyStatus>,
) -> Vec<(String, Result<UpdatePolicyStatus, WriteError>)> {
    let write = |change: PolicyStatus| async move {
        let written = writer.policy_status(&change.policy, &change.uid, &change.status).await;
        (change.policy, written.map(|_| change.status))
    };
    let begun = stream::iter(changed).take_while(|_| ready(mandate.holds()));
    begun.map(write).buffer_unordered(CONCURRENCY).collect().await
}
