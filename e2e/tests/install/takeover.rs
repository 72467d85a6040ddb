//! An original operator in the middle of its rollout is taken over by the commands of `docs/migrating.md`, and the rollout goes
//! on to its end.

use std::time::Duration;

use api::{UpdatePolicy, names};
use e2e::certmanager::CertManager;
use e2e::controlplane::ControlPlane;
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Bare, Fleet, FleetOptions, OriginalAgents};
use e2e::host::Release;
use e2e::workload::Workload;
use futures::future::join_all;
use kube::{Api, ResourceExt as _};
use semver::Version;

use crate::begun::{ALL, FAILED, bring_about};
use crate::controllers::{Controllers, Kind};
use crate::guide::{commands, follow, section};

/// Far longer than anything here takes on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);
pub(crate) const OLD: Version = Version::new(1, 50, 0);
pub(crate) const NEW: Version = Version::new(1, 51, 0);
const GUIDE: &str = "docs/migrating.md";

const POLICY: &str = "
apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {name: default}
spec: {nodeSelector: {}, maxConcurrentUpdates: 3}
";

/// How soon agents of ours come in the place of the original's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Replacement {
    /// Before any has done something under our controller.
    AtOnce,
    /// A few at a time: most see their node's update to its end.
    FewAtATime,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_the_original_began_in_every_state_ends_under_agents_of_both_kinds() {
    take_over(Replacement::FewAtATime).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_the_original_began_in_every_state_ends_under_agents_of_ours_alone() {
    take_over(Replacement::AtOnce).await;
}

async fn take_over(replacement: Replacement) {
    let original = OriginalAgents { exclude_from_lb_wait: 20, ..OriginalAgents::default() };
    let options = FleetOptions { nodes: ALL.len(), version: OLD, original, ..FleetOptions::default() };
    let cluster = Bare::start(options).await.unwrap();
    cluster.install_the_original().await.unwrap();
    if replacement == Replacement::FewAtATime {
        cluster.agents_take_time().await.unwrap();
    }
    let controllers = Controllers::watch(&cluster.plane);
    let _issuer = CertManager::start(&cluster.plane, names::DEFAULT_NAMESPACE).await.unwrap();
    Workload::deployment("web", 24, 4).run(&cluster.plane, PATIENCE).await.unwrap();
    cluster.repository.publish(Release::new(NEW));
    join_all(cluster.hosts().zip(&ALL).map(|(host, begun)| bring_about(&cluster, host, begun))).await;
    controllers.are(Kind::Original).await;

    let guide = section(GUIDE, "## In this order");
    let (take_over, clean_up) = guide.split_once("\n6. ").unwrap();
    follow(&cluster.plane, take_over).await;
    controllers.are(Kind::Ours).await;
    let ours = cluster.run_programs().await.unwrap();
    ours.cluster.plane.apply(POLICY).await.unwrap();
    let failed = format!("node-{FAILED}");
    halted_by(&ours.cluster.plane, &failed).await;
    if replacement == Replacement::FewAtATime {
        assert!(ours.pods_of_the_original().await.unwrap() > ALL.len() / 2);
    }
    let fleet = ours.run_agents().await.unwrap();
    fleet.replace_agents(PATIENCE).await.unwrap();
    follow(&fleet.plane, clean_up).await;

    acknowledge(&fleet, &failed).await;
    arrived(&fleet).await;
    assert!(!controllers.were_beside_each_other());
}

/// Waits until the failure of the original's agent halts the rollout.
async fn halted_by(plane: &ControlPlane, node: &str) {
    let policies: Api<UpdatePolicy> = Api::all(plane.client());
    let why = eventually("the policy to be halted", PATIENCE, async || {
        let conditions = policies.get("default").await?.status.unwrap_or_default().conditions;
        let halted = conditions.into_iter().find(|one| one.type_ == "Halted" && one.status == "True");
        Ok(halted.map(|condition| condition.message))
    });
    let why = why.await.unwrap();
    assert!(why.contains(node), "{why}");
}

/// What had not begun has not begun under our agents either, until the failure is acknowledged as the guide says.
async fn acknowledge(fleet: &Fleet, node: &str) {
    for waiting in ["node-1", "node-2", "node-3"] {
        assert_eq!(fleet.boots()[waiting], 0, "{waiting}");
    }
    let section = section(GUIDE, "## Failures that the original leaves");
    let [told] = &commands(&section)[..] else { panic!("one command in {section}") };
    follow(&fleet.plane, &format!("    {}", told.replace(" N ", &format!(" {node} ")))).await;
}

/// Every node is at rest in the new version under an agent of ours, has restarted once, and nothing is left on it.
async fn arrived(fleet: &Fleet) {
    fleet.updated(&NEW, ALL.len(), PATIENCE).await.unwrap();
    fleet.plane.kubectl(["wait", "--for=condition=UpToDate", "--timeout=60s", "bup/default"]).await.unwrap();
    for (node, boots) in fleet.boots() {
        assert_eq!(boots, 1, "{node}: {:#?}", fleet.host(node).boots());
    }
    for name in fleet.nodes() {
        let node = fleet.node_objects().get(name).await.unwrap();
        assert!(!node.labels().contains_key(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL), "{name}");
        let status = fleet.shadow(name).await.unwrap().status.unwrap();
        assert!(status.agent_version.is_some() && status.crash_count == 0, "{name}: {status:?}");
    }
}
