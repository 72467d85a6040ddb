//! A cluster that somebody installs the operator in, or over the original one, by the manifest alone.
//!
//! ```text
//! Bare (hosts, Nodes; the original's objects and what it has begun) ─► manifest applied ─► Agentless ─► Fleet
//! the DaemonSet's pod on a node ─► the original's agent or ours, again for each pod that replaces it
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::names;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;

use super::admission::{self, Webhook};
use super::agents::{Choice, Launcher, Site};
use super::installation::{self, Installed};
use super::kubelet::Kubelet;
use super::nodes::{annotate, up};
use super::options::FleetOptions;
use super::pods::{self, AgentPod, Kind};
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
    /// How many nodes have a pod of the original's agent.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn pods_of_the_original(&self) -> anyhow::Result<usize> {
        let pods = pods::all(self.cluster.plane.client()).await?;
        Ok(pods.iter().filter(|pod| is_of(pod, Kind::Original)).count())
    }

    /// Runs the agent of the pod on each node, and another one for each pod that takes its place.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub async fn run_agents(self) -> anyhow::Result<Fleet> {
        let Bare { hosts, plane, .. } = &self.cluster;
        let access = original::access(plane).await?;
        let port = self.installed.apiserver_port;
        let start = |host| Kubelet::start(self.launcher(host, port, Choice::OfThePod(access.clone())));
        let kubelets = try_join_all(hosts.iter().map(start)).await?;
        Ok(self.with_kubelets(kubelets, BTreeMap::new()))
    }

    /// What starts the agents of a host, which find the apiserver on a port.
    pub(super) fn launcher(&self, host: &Arc<Host>, apiserver_port: u16, choice: Choice) -> Launcher {
        let Bare { plane, programs, options, .. } = &self.cluster;
        let site = Site::of(plane, programs, &self.installed.certificates, options);
        Launcher { site, host: host.clone(), apiserver_port, choice }
    }

    /// The fleet with these kubelets, one for each host, and with the taps through which some of their agents call the apiserver.
    pub(super) fn with_kubelets(self, kubelets: Vec<Kubelet>, taps: BTreeMap<String, Tap>) -> Fleet {
        let Self { installed, webhook, cluster } = self;
        let Bare { programs, repository, plane, .. } = cluster;
        Fleet {
            kubelets: kubelets.into_iter().map(|kubelet| (kubelet.host().name().to_owned(), kubelet)).collect(),
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
            plane,
        }
    }
}

impl Fleet {
    /// Waits until the DaemonSet has replaced every pod of the original's agents by one of ours, whose agent runs.
    ///
    /// # Errors
    /// When that has not come about within `patience`.
    pub async fn replace_agents(&self, patience: Duration) -> anyhow::Result<()> {
        eventually("every agent to be replaced", patience, async || {
            let pods = pods::all(self.plane.client()).await?;
            let ours: BTreeSet<_> =
                pods.iter().filter(|pod| is_of(pod, Kind::Ours)).filter_map(kube::ResourceExt::uid).collect();
            let runs = |kubelet: &Kubelet| ours.contains(&kubelet.pod().uid) && kubelet.agent().is_running();
            Ok((ours.len() == pods.len() && self.kubelets.values().all(runs)).then_some(()))
        })
        .await
    }
}

fn is_of(pod: &Pod, kind: Kind) -> bool {
    AgentPod::living(pod).is_some_and(|pod| pod.kind == Some(kind))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
