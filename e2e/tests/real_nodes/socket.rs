//! A host whose API server comes back on a new socket. The pod has the socket itself mounted, so what it holds is dead.

use e2e::controlplane::wait::eventually;
use e2e::host::Deed;
use e2e::install::build_with;
use e2e::real_nodes::RealClusterOptions;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;

use crate::site::{PATIENCE, Site};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_socket_was_made_anew_is_restarted_in_its_pod_and_goes_on_with_the_new_one() {
    let manifest = build_with(&["single-replica"]).await.unwrap();
    let options = RealClusterOptions { nodes: 1, ..RealClusterOptions::default() };
    let Some(site) = Site::start(options, Some(&manifest)).await else { return };
    let before = agent(&site).await;
    assert_eq!(container(&before).restart_count, 0);
    let host = site.cluster.host("node-1").unwrap();
    host.perform(Deed::RestartApiServer);
    let asked = host.counts().total_requests();

    let after = eventually("the agent to be restarted and ready", PATIENCE, async || {
        let after = agent(&site).await;
        let container = container(&after);
        Ok((container.restart_count > 0 && container.ready).then_some(after))
    });
    let after = after.await.unwrap();
    assert_eq!((after.uid(), container(&after).restart_count), (before.uid(), 1), "in its pod, and once");
    let ended = container(&after).last_state.and_then(|state| state.terminated).unwrap();
    let words = ended.message.unwrap_or_default();
    assert!(words.contains("socket"), "{words}");
    println!("it ended with: {words}");
    assert!(host.counts().total_requests() > asked, "the new socket is asked");

    site.apply_policy("maxConcurrentUpdates: 1").await;
    site.updated().await;
    assert_eq!(site.boots("node-1"), (1, 1));
    site.assert_whole().await;
}

async fn agent(site: &Site) -> Pod {
    let pods = site.pods().await;
    pods.into_iter().find(|pod| pod.name_any().starts_with("brupop-agent-")).unwrap()
}

fn container(pod: &Pod) -> ContainerStatus {
    pod.status.clone().unwrap().container_statuses.unwrap().remove(0)
}
