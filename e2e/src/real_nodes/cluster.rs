//! The cluster as tests and the demo hold it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use semver::Version;

use super::files::{kube_proxy, put};
use super::node::{Common, RealNode};
use super::power::Power;
use super::{images, requirements};
use crate::certmanager::CertManager;
use crate::controlplane::wait::until;
use crate::controlplane::{ControlPlane, Program, node_programs};
use crate::host::{Host, HostOptions, Repository, Timings};
use crate::image::{Identity, programs};

/// Seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct RealClusterOptions {
    /// How many nodes: one to three.
    pub nodes: u8,
    /// The version that they run at first.
    pub version: Version,
    /// How long things take on the hosts.
    pub timings: Timings,
    /// A folder with the operator's four programs, linked statically; where there is none they are built.
    pub programs: Option<PathBuf>,
}

impl Default for RealClusterOptions {
    fn default() -> Self {
        Self { nodes: 3, version: Version::new(1, 50, 0), timings: Timings::default(), programs: None }
    }
}

/// A running cluster, with cert-manager and without the operator. Dropping it ends everything.
pub struct RealCluster {
    // Before the nodes, which they would switch on again.
    powers: Vec<Power>,
    hosts: BTreeMap<String, Arc<Host>>,
    nodes: BTreeMap<String, Arc<RealNode>>,
    /// The versions that hosts are offered.
    pub repository: Repository,
    /// What issues certificates.
    pub issuer: CertManager,
    /// The size of the operator's image in bytes.
    pub image_bytes: u64,
    operator: PathBuf,
    images: PathBuf,
    /// The control plane. Last, so that it outlives what talks to it.
    pub plane: ControlPlane,
}

impl RealCluster {
    /// Starts one, and returns when every node is Ready, the cluster's DNS answers and cert-manager runs. The operator's image
    /// is on every node.
    ///
    /// # Errors
    /// When this machine cannot carry it (see [`super::available`]), or something does not come up.
    pub async fn start(options: RealClusterOptions) -> anyhow::Result<Self> {
        let machine = requirements::machine()?;
        ensure!((1..=3).contains(&options.nodes), "a cluster of real nodes has one to three of them");
        let node_programs = node_programs().await?;
        let operator = match options.programs {
            Some(folder) => folder,
            None => programs(true).await?,
        };
        let plane = ControlPlane::start_for_real_nodes().await?;
        let underlay = plane.underlay().context("a control plane without a network")?.clone();
        let images = plane.dir().join("images");
        images::write(&images, &node_programs, &operator)?;
        let image_bytes = images::operator_bytes(&images)?;
        translate_services(&plane, &node_programs.kubelet)?;

        let repository = Repository::of([options.version.clone()]);
        let hosts =
            (1..=options.nodes).map(|number| host(&plane, &options.version, options.timings, &repository, number));
        let hosts = try_join_all(hosts).await?;
        let common = Common {
            plane: &plane,
            underlay: &underlay,
            machine: &machine,
            programs: &node_programs,
            images: &images,
            nodes: options.nodes,
        };
        let nodes = (1..=options.nodes).map(|number| RealNode::start(&common, number, &options.version));
        let nodes: Vec<_> = try_join_all(nodes).await?.into_iter().map(Arc::new).collect();
        let powers = hosts.iter().zip(&nodes).map(|(host, node)| Power::follow(host, Arc::clone(node))).collect();
        let cluster_nodes = nodes.iter().map(|node| (node.name().to_owned(), Arc::clone(node))).collect();
        let issuer = async {
            ready(&plane, &nodes).await?;
            plane.apply(&dns(options.nodes)).await.context("cluster DNS")?;
            rolled_out(&plane, "kube-system", "deployment/coredns").await?;
            CertManager::start(&plane, api::names::DEFAULT_NAMESPACE).await
        };
        // With the logs of the nodes.
        let issuer = issuer.await.inspect_err(|_| plane.keep())?;
        let hosts = hosts.into_iter().map(|host| (host.name().to_owned(), host)).collect();
        Ok(Self { powers, hosts, nodes: cluster_nodes, repository, issuer, image_bytes, operator, images, plane })
    }

    /// The names of the nodes, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// The host that a node is.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn host(&self, node: &str) -> anyhow::Result<&Arc<Host>> {
        self.hosts.get(node).with_context(|| format!("no node {node}"))
    }

    /// A node.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn node(&self, node: &str) -> anyhow::Result<&Arc<RealNode>> {
        self.nodes.get(node).with_context(|| format!("no node {node}"))
    }

    /// The hosts, in the order of their nodes.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.hosts.values()
    }

    /// The Nodes.
    pub fn node_objects(&self) -> Api<Node> {
        Api::all(self.plane.client())
    }

    /// Puts the operator's image on every node under another reference as well, such as that of a later version.
    ///
    /// # Errors
    /// When a node is off, or does not take it.
    pub async fn add_image(&self, reference: &str) -> anyhow::Result<()> {
        let (archive, _) = images::write_operator(&self.images, &Identity::operator(reference), &self.operator)?;
        try_join_all(self.nodes.values().map(|node| node.import(&archive))).await?;
        Ok(())
    }

    /// Waits until a workload has all its replicas, as `kubectl rollout status` does.
    ///
    /// # Errors
    /// When it has not within three minutes.
    pub async fn rolled_out(&self, workload: &str) -> anyhow::Result<()> {
        rolled_out(&self.plane, api::names::DEFAULT_NAMESPACE, workload).await
    }
}

impl Drop for RealCluster {
    fn drop(&mut self) {
        self.powers.clear();
    }
}

async fn host(
    plane: &ControlPlane,
    version: &Version,
    timings: Timings,
    repository: &Repository,
    number: u8,
) -> anyhow::Result<Arc<Host>> {
    let folder = RealNode::folder_of(plane, number).join("host");
    let name = RealNode::name_of(number);
    let options = HostOptions { timings, ..HostOptions::new(name, folder, version.clone(), u64::from(number)) };
    Ok(Arc::new(Host::start(options, repository.clone()).await?))
}

/// A kube-proxy for the API server, which calls the webhook by its Service.
fn translate_services(plane: &ControlPlane, kubelet: &Path) -> anyhow::Result<()> {
    let underlay = plane.underlay().context("a control plane without a network")?;
    let config = plane.dir().join("kube-proxy.json");
    put(&config, &kube_proxy(&plane.kubeconfig_in_network()?).to_string())?;
    let proxy = Program::new(kubelet.join("kube-proxy")).arg("--config").arg(config);
    // It has no Node of its own, and takes the place of any.
    let proxy = proxy.args(["--hostname-override", "node-1"]);
    // The lock that iptables takes is one of all namespaces of this machine, unless it is told otherwise.
    let proxy = proxy.env("XTABLES_LOCKFILE", plane.dir().join("xtables.lock"));
    plane.spawn("kube-proxy", proxy.in_network(&underlay.namespace()))?;
    Ok(())
}

/// Cluster DNS, with as many replicas as there are nodes to keep them apart: two on one node would never let it be drained.
fn dns(nodes: u8) -> String {
    include_str!("dns.yaml").replace("replicas: 2", &format!("replicas: {}", nodes.min(2)))
}

async fn ready(plane: &ControlPlane, nodes: &[Arc<RealNode>]) -> anyhow::Result<()> {
    let api: Api<Node> = Api::all(plane.client());
    let is_ready = |node: Option<&Node>| {
        let conditions = node.and_then(|node| node.status.as_ref()?.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    };
    for node in nodes {
        let waited = until(&api, node.name(), "a Ready node", PATIENCE, is_ready).await;
        waited.with_context(|| format!("its logs are in {}", node.logs().display()))?;
    }
    Ok(())
}

pub(super) async fn rolled_out(plane: &ControlPlane, namespace: &str, workload: &str) -> anyhow::Result<()> {
    let status = ["--namespace", namespace, "rollout", "status", "--timeout=170s", workload];
    plane.kubectl(status).await.with_context(|| workload.to_owned())?;
    Ok(())
}
