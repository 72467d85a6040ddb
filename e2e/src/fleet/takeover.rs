//! A cluster that somebody installs the operator in, or over the original one, by the manifest alone.
//!
//! ```text
//! Bare (hosts, Nodes; the original's objects and what it has begun) ─► manifest applied ─► Agentless ─► Fleet
//! the DaemonSet's pod on a node ─► the original's agent or ours ─► Fleet::replace_agents, as pods are replaced
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use api::names;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, ResourceExt as _};

use super::admission::{self, Webhook};
use super::agents::{self, Agent, Site, all, pod_on};
use super::installation::{self, Installed};
use super::kubelet::Kubelet;
use super::nodes::{annotate, up};
use super::options::FleetOptions;
use super::programs::Programs;
use super::tap::Tap;
use super::{Fleet, original, start};
use crate::controlplane::ControlPlane;
use crate::controlplane::wait::eventually;
use crate::host::{Deed, Host, Repository};

/// A cluster with hosts, in which none of our programs runs yet.
pub struct Bare {
    programs: Programs,
    pub(super) options: FleetOptions,
    pub(super) hosts: Vec<Arc<Host>>,
    /// The versions that hosts are offered.
    pub repository: Repository,
    /// The control plane. Last, so that it outlives what talks to it.
    pub plane: ControlPlane,
}

impl Bare {
    /// Builds the programs, and starts the control plane and the hosts. Nothing is installed.
    ///
    /// # Errors
    /// When any of that fails; the message says what.
    pub async fn start(options: FleetOptions) -> anyhow::Result<Self> {
        let programs = Programs::build().await?;
        Self::on(ControlPlane::start().await?, programs, options).await
    }

    /// Starts the hosts of a control plane that runs.
    pub(super) async fn on(plane: ControlPlane, programs: Programs, options: FleetOptions) -> anyhow::Result<Self> {
        let repository = Repository::of([options.version.clone()]);
        let hosts = (1..=options.nodes).map(|number| start::host(&plane, &options, &repository, number));
        let hosts = try_join_all(hosts).await?;
        Ok(Self { programs, options, hosts, repository, plane })
    }

    /// Installs the original as people do. Its programs do not run: what they have done is for the caller to bring about.
    ///
    /// # Errors
    /// When an object is not accepted.
    pub async fn install_the_original(&self) -> anyhow::Result<()> {
        let objects = fixture("original-installation.yaml");
        self.plane.kubectl(["apply".as_ref(), "--filename".as_ref(), objects.as_os_str()]).await?;
        let crd = "crd/bottlerocketshadows.brupop.bottlerocket.aws";
        self.plane.kubectl(["wait", "--for=condition=Established", "--timeout=60s", crd]).await?;
        let namespace = names::DEFAULT_NAMESPACE;
        self.plane.kubectl(["rollout", "status", "daemonset/brupop-agent", "--namespace", namespace]).await?;
        Ok(())
    }

    /// From now on an agent's pod is not Ready before its agent runs and says so, so that a DaemonSet replaces them a few at a time.
    /// Otherwise KWOK makes it through with all of them at once.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn agents_take_time(&self) -> anyhow::Result<()> {
        self.plane.apply_path(&fixture("unready-agents.yaml")).await
    }

    /// The hosts, in the order of their numbers.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().map(|host| &**host)
    }

    /// Reboots a host, as the original's agent would, and tells of it on the Node, as its kubelet does.
    ///
    /// # Errors
    /// When it is not up again within `patience`.
    pub async fn reboot(&self, host: &Host, patience: Duration) -> anyhow::Result<()> {
        let before = host.boots().len();
        host.perform(Deed::Reboot);
        let is_up = async || Ok((host.boots().len() > before).then_some(()));
        eventually("the host to be up again", patience, is_up).await?;
        let state = host.state();
        let nodes: Api<Node> = Api::all(self.plane.client());
        annotate(&nodes, host.name(), up(&state.boot_id, &state.version)).await
    }

    /// Runs our programs where the manifest has been applied, but for the agents.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub async fn run_programs(self) -> anyhow::Result<Agentless> {
        let Self { programs, options, plane, .. } = &self;
        let installed = installation::start_programs(plane, programs, &options.log_filter).await?;
        let webhook = admission::start(plane, programs, &options.log_filter).await?;
        Ok(Agentless { cluster: self, installed, webhook })
    }
}

/// A cluster in which our programs run, but for the agents.
pub struct Agentless {
    pub(super) installed: Installed,
    webhook: Webhook,
    /// The cluster. Last, so that it outlives what talks to it.
    pub cluster: Bare,
}

impl Agentless {
    /// Runs on each node the agent that its pod is of.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub async fn run_agents(self) -> anyhow::Result<Fleet> {
        let Bare { hosts, plane, .. } = &self.cluster;
        let access = original::access(plane).await?;
        let starts = hosts.iter().map(async |host| {
            let pod = pod_on(plane, host.name()).await?;
            start_agent(self.site(), host, &pod, self.installed.apiserver_port, &access).await
        });
        let agents = try_join_all(starts).await?;
        Ok(self.with_agents(agents, BTreeMap::new()))
    }

    /// What agents are started with.
    pub(super) fn site(&self) -> Site<'_> {
        let Bare { plane, programs, options, .. } = &self.cluster;
        Site { plane, programs, certificates: &self.installed.certificates, options }
    }

    /// The fleet with these agents, one for each host, and what some of them call the apiserver through.
    pub(super) fn with_agents(self, agents: Vec<Agent>, taps: BTreeMap<String, Tap>) -> Fleet {
        let Self { installed, webhook, cluster } = self;
        let Bare { programs, options, hosts, repository, plane } = cluster;
        let kubelet =
            |(host, agent): (Arc<Host>, Agent)| (host.name().to_owned(), Kubelet::start(plane.client(), host, agent));
        Fleet {
            kubelets: hosts.into_iter().zip(agents).map(kubelet).collect(),
            taps,
            repository,
            controller: installed.controller,
            controller_metrics_port: installed.controller_metrics,
            apiserver: installed.apiserver,
            webhook,
            apiserver_metrics_port: installed.apiserver_metrics,
            apiserver_port: installed.apiserver_port,
            certificates: installed.certificates,
            programs,
            options,
            plane,
        }
    }
}

impl Fleet {
    /// Follows the DaemonSet as it replaces the pods of the original's agents by pods of ours, until all are.
    ///
    /// # Errors
    /// When that has not come about within `patience`.
    pub async fn replace_agents(&mut self, patience: Duration) -> anyhow::Result<()> {
        let access = original::access(&self.plane).await?;
        let pods: Api<Pod> = Api::namespaced(self.plane.client(), names::DEFAULT_NAMESPACE);
        eventually("every agent to be replaced", patience, async || {
            let pods = pods.list(&all()).await?.items;
            for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
                let Some(node) = node.filter(|node| self.has_another_pod(node, pod)) else { continue };
                self.replace_agent(&node, pod, &access).await?;
            }
            Ok((pods.len() == self.kubelets.len() && pods.iter().all(|pod| kind(pod) == Some(Kind::Ours)))
                .then_some(()))
        })
        .await
    }

    fn has_another_pod(&self, node: &str, pod: &Pod) -> bool {
        self.kubelets.get(node).is_some_and(|kubelet| kubelet.pod() != pod.name_any())
    }

    async fn replace_agent(&mut self, node: &str, pod: &Pod, access: &Path) -> anyhow::Result<()> {
        let host = self.kubelets.remove(node).with_context(|| format!("no node {node}"))?.end_agent()?;
        let Self { plane, programs, certificates, options, .. } = self;
        let site = Site { plane, programs, certificates, options };
        let agent = start_agent(site, &host, pod, self.apiserver_port, access).await?;
        self.kubelets.insert(node.to_owned(), Kubelet::start(self.plane.client(), host, agent));
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Original,
    Ours,
}

/// Whose agent a pod is of.
fn kind(pod: &Pod) -> Option<Kind> {
    let command = pod.spec.as_ref()?.containers.first()?.command.as_ref()?.first()?;
    match command.as_str() {
        "./agent" => Some(Kind::Original),
        "/agent" => Some(Kind::Ours),
        _ => None,
    }
}

async fn start_agent(site: Site<'_>, host: &Host, pod: &Pod, port: u16, access: &Path) -> anyhow::Result<Agent> {
    match kind(pod) {
        Some(Kind::Original) => original::start(site, host, port, access).await,
        Some(Kind::Ours) => agents::start(site, host, port).await,
        None => bail!("{} is no pod of an agent", pod.name_any()),
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
