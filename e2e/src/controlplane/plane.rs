//! The control plane as tests and the demo hold it.

use std::path::{Path, PathBuf};

use kube::Client;

use super::pki::Authority;
use super::process::Process;
use super::processes::Processes;
use super::program::Program;
use super::site::Site;
use super::start::{self, Nodes};
use super::underlay::Underlay;

/// A running Kubernetes control plane of this machine's own, with KWOK managing every Node.
///
/// Dropped, it stops everything it has started and removes its folder, in a fraction of a second during which it blocks. When
/// the dropping thread panics, the folder stays, with the logs of all programs and what the API held as YAML; so a test shows
/// what happened when it fails by a panic (`unwrap`, `assert!`) rather than by returning an error. Nothing outlives the process
/// either, however it ends.
pub struct ControlPlane {
    pub(super) client: Client,
    pub(super) server: String,
    /// Signs the certificates of the operator's own programs. It is not the cluster's, so that neither is trusted for the
    /// other's sake.
    pub(super) authority: Authority,
    /// Signs the certificates of everybody whom the cluster itself knows.
    pub(super) cluster_authority: Authority,
    /// The network of nodes that are real.
    pub(super) underlay: Option<Underlay>,
    pub(super) site: Site,
}

impl ControlPlane {
    /// Starts one, and returns when its API is ready and the controllers run: within a few seconds, once the programs are
    /// there. The first time on a machine they are built, which takes minutes. At most three run at once on a machine, fewer
    /// where memory is short; further ones wait, for half an hour at most.
    ///
    /// # Errors
    /// When the programs are neither there nor can be built (the error says what to install), or a server does not come up
    /// (the error has the end of its log, and says where the rest is).
    pub async fn start() -> anyhow::Result<Self> {
        start::start(Nodes::Simulated).await
    }

    /// As [`Self::start`], in a network namespace of its own and with nothing that plays the nodes. Takes root.
    pub(crate) async fn start_for_real_nodes() -> anyhow::Result<Self> {
        start::start(Nodes::Real).await
    }

    /// The network, of one that was started for real nodes.
    pub(crate) const fn underlay(&self) -> Option<&Underlay> {
        self.underlay.as_ref()
    }

    /// A client with the rights of an administrator, which retries nothing.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The URL of the API.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// An administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.site.folder.admin_kubeconfig()
    }

    /// The kubectl of the control plane's own version.
    pub fn kubectl_path(&self) -> PathBuf {
        self.site.assets.program("kubectl")
    }

    /// The audit log: one JSON object (`audit.k8s.io/v1` Event, metadata level) per line for every request but those for
    /// the Nodes' leases and for health.
    pub fn audit_log(&self) -> PathBuf {
        self.site.folder.audit_log()
    }

    /// The folder that holds everything of this control plane, and may hold a test's own files. Its path is short enough for
    /// unix sockets below it.
    pub fn dir(&self) -> &Path {
        self.site.folder.root()
    }

    /// Starts another program that ends with this control plane, with its output in a log file of its name. A name is free
    /// again when its program has ended.
    ///
    /// # Errors
    /// When a program of that name still runs, or there is no such file.
    pub fn spawn(&self, name: &str, program: Program) -> anyhow::Result<Process> {
        self.site.spawn(name, program)
    }

    /// Everything that was started, the control plane's own servers (`etcd`, `kube-apiserver`, `kube-controller-manager`,
    /// `kube-scheduler`, `kwok`) included.
    pub fn processes(&self) -> Vec<Process> {
        self.site.processes.all()
    }

    /// The same as a handle by which more can be started, for those that do so while this control plane lasts.
    pub(crate) fn programs(&self) -> Processes {
        self.site.processes.clone()
    }

    /// What was started under this name.
    pub fn process(&self, name: &str) -> Option<Process> {
        self.processes().into_iter().find(|process| process.name() == name)
    }

    /// Lets the folder stay when this control plane ends.
    pub fn keep(&self) {
        self.site.keep();
    }
}
