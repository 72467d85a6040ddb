//! A node that goes down for its update and stays away.

use api::{UpdatePolicy, names};
use e2e::controlplane::wait::eventually;
use e2e::host::OnBoot;
use e2e::real_nodes::RealClusterOptions;
use kube::{Api, ResourceExt as _};

use crate::site::{PATIENCE, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_come_back_stops_the_rollout_and_keeps_its_cordon() {
    let Some(site) = Site::start(RealClusterOptions::default(), None).await else { return };
    for host in site.cluster.hosts() {
        host.faults(|faults| faults.next_boot = Some(OnBoot::Hangs));
    }
    site.apply_policy("maxConcurrentUpdates: 1, health: {timeout: 20s}").await;
    let lost = site.first().await;
    let policies: Api<UpdatePolicy> = Api::all(site.cluster.plane.client());
    let why = eventually("the policy to be halted", PATIENCE, async || {
        let conditions = policies.get("default").await?.status.map(|status| status.conditions);
        let halted = conditions.into_iter().flatten().find(|one| one.type_ == "Halted" && one.status == "True");
        Ok(halted.map(|condition| condition.message))
    });
    let why = why.await.unwrap();
    assert!(why.contains(&lost), "{why}");
    println!("halted {:.1?} after `kubectl apply`: {why}", site.applied.elapsed());
    assert!(site.shadow(&lost).await.unwrap().status.unwrap().failed.is_some());
    assert!(!site.cluster.node(&lost).unwrap().is_on());
    for node in site.nodes().await.unwrap() {
        let out = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
        let recorded = node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION);
        let is_lost = node.name_any() == lost;
        assert!(out == is_lost && recorded == is_lost, "{}", node.name_any());
    }
    site.observer.assert_no_breach().await;
}
