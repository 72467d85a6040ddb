//! A cluster that a test has for itself, and what is asked of it.

use std::time::{Duration, Instant};

use api::{BottlerocketShadow, names};
use e2e::controlplane::wait::eventually;
use e2e::distribution::is_required;
use e2e::fleet::rollout;
use e2e::host::{Cause, Client, Release};
use e2e::observer::Observer;
use e2e::real_nodes::{RealCluster, RealClusterOptions, available};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use semver::Version;
use tokio::sync::{Semaphore, SemaphorePermit};

/// What is rolled out.
pub(crate) const NEW: Version = Version::new(1, 51, 0);
/// A node takes half a minute on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(420);

/// How many clusters there are at once: two keep two processors busy.
static TURNS: Semaphore = Semaphore::const_new(2);

/// A cluster with the operator in it, whose hosts are offered [`NEW`].
pub(crate) struct Site {
    pub(crate) cluster: RealCluster,
    pub(crate) observer: Observer,
    /// When the manifest was applied.
    pub(crate) applied: Instant,
    _turn: SemaphorePermit<'static>,
}

impl Site {
    /// `None` where there can be none. `manifest` is the one to apply in the place of the shipped one.
    pub(crate) async fn start(options: RealClusterOptions, manifest: Option<&str>) -> Option<Self> {
        let turn = TURNS.acquire().await.unwrap();
        if let Err(why) = available() {
            assert!(!is_required("REAL_NODES"), "{why:#}");
            println!("not run: {why:#}");
            return None;
        }
        let cluster = RealCluster::start(options).await.unwrap();
        // Before the agents look: as shipped, they look again only after minutes.
        cluster.repository.publish(Release::new(NEW));
        let observer = Observer::start(cluster.plane.client(), names::DEFAULT_NAMESPACE);
        cluster.hosts().for_each(|host| observer.follow(host));
        let applied = Instant::now();
        let took = match manifest {
            Some(manifest) => cluster.install_manifest(manifest).await.unwrap(),
            None => cluster.install().await.unwrap(),
        };
        println!("every pod is up {took:.1?} after `kubectl apply`");
        Some(Self { cluster, observer, applied, _turn: turn })
    }

    /// Applies a policy for every node, with this in its spec.
    pub(crate) async fn apply_policy(&self, spec: &str) {
        let policy = format!(
            "apiVersion: brupop.bottlerocket.aws/v1alpha1\nkind: UpdatePolicy\nmetadata: {{name: default}}\nspec: {{nodeSelector: {{}}, {spec}}}\n"
        );
        self.cluster.plane.apply(&policy).await.unwrap();
    }

    pub(crate) async fn nodes(&self) -> anyhow::Result<Vec<Node>> {
        Ok(self.cluster.node_objects().list(&ListParams::default()).await?.items)
    }

    pub(crate) async fn shadow(&self, node: &str) -> anyhow::Result<BottlerocketShadow> {
        let shadows: Api<BottlerocketShadow> = Api::namespaced(self.cluster.plane.client(), names::DEFAULT_NAMESPACE);
        Ok(shadows.get(&names::shadow_name(node)).await?)
    }

    /// The operator's pods.
    pub(crate) async fn pods(&self) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.plane.client(), names::DEFAULT_NAMESPACE);
        pods.list(&ListParams::default()).await.unwrap().items
    }

    /// Waits until the first node is disrupted, and names it.
    pub(crate) async fn first(&self) -> String {
        let first = eventually("a node to be disrupted", PATIENCE, async || {
            let nodes = self.nodes().await?;
            let recorded =
                nodes.iter().find(|node| node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION));
            Ok(recorded.map(|node| node.name_any()))
        });
        first.await.unwrap()
    }

    /// Waits until every node is at rest in [`NEW`], as its kubelet says.
    pub(crate) async fn updated(&self) {
        let count = self.cluster.names().count();
        rollout::updated(self.cluster.plane.client(), &NEW, count, PATIENCE).await.unwrap();
        assert!(self.nodes().await.unwrap().iter().all(|node| runs(node, &NEW)), "what the kubelets report");
        println!("{count} nodes run {NEW} {:.1?} after `kubectl apply`", self.applied.elapsed());
    }

    /// How often a node was rebooted by the operator, and how often it came up at all.
    pub(crate) fn boots(&self, node: &str) -> (usize, usize) {
        let boots = self.cluster.host(node).unwrap().boots();
        let ours = boots.iter().filter(|boot| boot.cause == Cause::RebootRequest(Client::Socket));
        (ours.count(), boots.len())
    }

    /// Every workload is back, and the observer has seen nothing that must not be.
    pub(crate) async fn assert_whole(&self) {
        for workload in
            ["deployment/brupop-controller-deployment", "deployment/brupop-apiserver", "daemonset/brupop-agent"]
        {
            self.cluster.rolled_out(workload).await.unwrap();
        }
        self.observer.assert_no_breach().await;
    }
}

fn runs(node: &Node, version: &Version) -> bool {
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    info.is_some_and(|info| info.os_image.contains(&version.to_string()))
}
