//! Looking after nodes without being asked: restoring those with a record that nobody else restores, and recording what the
//! original operator has left behind, so that it counts and is undone.
//!
//! Every replica does it: the writes are conditional on the Node's resourceVersion, so that one of them takes effect and the
//! others find nothing left to do.

use std::collections::BTreeMap;
use std::time::Duration;

use api::Shadow;
use api::shadow::NodeRef;
use tokio::time::{Instant, sleep};

use super::node::write;
use crate::app::App;
use crate::cluster::ClusterError;
use crate::node::{Change, NodeFacts, RecordedNode, Unattended, adopted, all_restored, unattended};
use crate::node_events::EventReason;
use crate::recorded_nodes::RecordedNodes;
use crate::refusal::Refusal;

/// How often the nodes with a record are looked at, by what the watches have brought.
const LOOK: Duration = Duration::from_secs(10);
/// Most nodes that are read and written in one look; the others follow in the next.
const MOST: usize = 20;

/// Since when a node has looked unattended, and why.
type UnattendedSince = BTreeMap<String, (Unattended, Instant)>;

/// Looks after the nodes, for ever.
pub async fn attend(app: &App, recorded: &RecordedNodes) {
    let mut since = UnattendedSince::new();
    loop {
        sleep(LOOK.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        let due = due(app, &recorded.nodes(), &mut since, Instant::now());
        for name in due.into_iter().take(MOST) {
            // Whatever comes of it, it is not tried again before it has looked so for as long once more.
            since.remove(&name);
            match restore_unattended(app, &name).await {
                Ok(()) | Err(Refusal { reason: api::wire::Reason::NotFound, .. }) => {}
                Err(refusal) => tracing::warn!(node = name, error = refusal.error, "cannot restore a node"),
            }
        }
        let mut originals = app.caches.past_the_originals_approval();
        fastrand::shuffle(&mut originals);
        for name in originals.into_iter().take(MOST) {
            match adopt(app, &name).await {
                Ok(()) | Err(Refusal { reason: api::wire::Reason::NotFound, .. }) => {}
                Err(refusal) => {
                    tracing::warn!(node = name, error = refusal.error, "cannot record what the original operator did");
                }
            }
        }
    }
}

/// The nodes that have looked unattended for long enough, the longest first. Judged by what the watches have brought, which
/// costs nothing; what is done is judged again by what Kubernetes has.
fn due(app: &App, recorded: &[RecordedNode], since: &mut UnattendedSince, now: Instant) -> Vec<String> {
    let ready = if recorded.is_empty() { Vec::new() } else { app.caches.ready_agents() };
    let mut before = std::mem::take(since);
    for node in recorded {
        let shadow = app.caches.shadow(&node.id.name).and_then(|raw| Shadow::try_from(&raw).ok());
        if let Ok(why) = unattended(node, shadow.as_ref(), ready.contains(&node.id.name)) {
            let known = before.remove(&node.id.name).filter(|(known, _)| *known == why);
            since.insert(node.id.name.clone(), known.unwrap_or((why, now)));
        }
    }
    let mut due: Vec<_> =
        since.iter().filter(|(_, (why, since))| now.duration_since(*since) >= why.patience()).collect();
    due.sort_by_key(|(_, (_, since))| *since);
    due.into_iter().map(|(name, _)| name.clone()).collect()
}

/// Restores a node if it is unattended by what Kubernetes has now.
#[tracing::instrument(skip_all, fields(node = name))]
async fn restore_unattended(app: &App, name: &str) -> Result<(), Refusal> {
    let node = NodeFacts::try_from(&app.cluster.node(name).await?)?;
    let Some(record) = node.record.clone().map_err(|error| unavailable(&error))? else {
        return Ok(());
    };
    let raw = app.cluster.shadow(name).await?;
    let shadow = raw.map(|raw| Shadow::try_from(&raw)).transpose().map_err(|error| unavailable(&error))?;
    let agent_is_ready = app.caches.ready_agents().contains(&node.id.name);
    let recorded = RecordedNode { id: node.id.clone(), managed: node.managed };
    let Ok(why) = unattended(&recorded, shadow.as_ref(), agent_is_ready) else {
        return Ok(());
    };
    match write(app, &node, &all_restored(&record, &node)).await {
        Ok(_) => note_restored(app, &node.id, why),
        // By another replica, or by an agent after all; if not, the next look finds it.
        Err(ClusterError::Conflict(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Records what the original operator has done to a node, by what Kubernetes has now.
#[tracing::instrument(skip_all, fields(node = name))]
async fn adopt(app: &App, name: &str) -> Result<(), Refusal> {
    let node = NodeFacts::try_from(&app.cluster.node(name).await?)?;
    let raw = app.cluster.shadow(name).await?;
    let shadow = raw.map(|raw| Shadow::try_from(&raw)).transpose().map_err(|error| unavailable(&error))?;
    let Some(record) = shadow.and_then(|shadow| adopted(&shadow, &node, app.now())) else {
        return Ok(());
    };
    match write(app, &node, &Change::record(Some(record))).await {
        Ok(_) => {
            let note = "the cordon or load-balancer label is taken for the original operator's, and will be undone";
            app.events.record(&node.id, EventReason::Adopted, app.now().to_string(), || note.to_owned());
            Ok(())
        }
        Err(ClusterError::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn unavailable(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(api::wire::Reason::Unavailable, error.to_string())
}

fn note_restored(app: &App, node: &NodeRef, why: Unattended) {
    app.metrics.restored(why);
    app.events.record(node, EventReason::GivenBack, app.now().to_string(), || why.note().to_owned());
}
