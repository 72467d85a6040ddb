//! Nodes that are restored without an agent.

use std::time::Duration;

use api::names;
use e2e::controlplane::stages;
use e2e::controlplane::wait::eventually;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::agent::Agent;
use crate::site::{Site, on_site};

/// Half a minute until a node counts as unattended, a look every ten seconds, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node that is drained and out of the load balancers.
async fn disrupted<'a>(site: &'a Site, name: &str) -> Agent<'a> {
    let agent = site.agent(name).await;
    agent.create_shadow().await;
    agent.approve().await;
    assert_eq!(agent.post(api::wire::EXCLUDE_FROM_LB).await.status, 200);
    assert_eq!(agent.drain(0, 30).await.status, 200);
    agent
}

async fn silence(agent: &Agent<'_>) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": { stages::READY: "false" }}}));
    let pods = agent.site.pods(names::DEFAULT_NAMESPACE);
    pods.patch(&agent.pod.name_any(), &PatchParams::default(), &patch).await.unwrap();
}

async fn restored(agent: &Agent<'_>) {
    let what = format!("{} to be restored", agent.node);
    eventually(&what, PATIENCE, async || {
        let recorded = agent.record().await.is_some();
        Ok((!recorded && !agent.is_cordoned().await && !agent.is_excluded().await).then_some(()))
    })
    .await
    .unwrap();
    let told = agent.site.events(&agent.node).await;
    assert!(told.iter().filter(|(reason, _)| reason == "GivenBack").count() <= 1, "one of two replicas: {told:?}");
}

#[test]
fn a_node_is_restored_when_its_agent_is_silent_or_has_forgotten_it_or_it_is_no_longer_managed() {
    on_site(async |site| {
        let silent = disrupted(site, "silent-1").await;
        let unmanaged = disrupted(site, "unmanaged-1").await;
        let forgotten = disrupted(site, "forgotten-1").await;
        let attended = disrupted(site, "attended-1").await;
        let busy = disrupted(site, "busy-1").await;
        silence(&silent).await;
        silence(&busy).await;
        silent.desired(json!({"state": "Idle"})).await;
        attended.report(json!({"current_state": "MonitoringUpdate"})).await;
        attended.desired(json!({"state": "Idle"})).await;
        // It rests, and knows of nothing that it would have to undo.
        forgotten.report(json!({})).await;
        forgotten.desired(json!({"state": "Idle"})).await;
        let label = format!("{}-", names::UPDATER_INTERFACE_LABEL);
        site.plane.kubectl(["label", "node", "unmanaged-1", label.as_str()]).await.unwrap();
        tokio::join!(restored(&silent), restored(&forgotten), restored(&unmanaged));
        let told = site.events("forgotten-1").await;
        assert!(told.iter().any(|(_, note)| note.contains("its agent knows nothing of this disruption")), "{told:?}");
        assert!(attended.record().await.is_some(), "its agent is there and does it");
        assert!(busy.is_cordoned().await, "it is not asked to be idle");
    });
}
