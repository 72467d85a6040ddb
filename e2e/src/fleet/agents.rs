//! One agent process for each pod of an agent, with the token that is bound to this pod.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use kube::Client;

use super::installation::{APISERVER_NAME, free_ports, local};
use super::options::FleetOptions;
use super::original;
use super::pods::{AgentPod, Kind};
use super::programs::Programs;
use crate::controlplane::{ControlPlane, Process, Processes, Program};
use crate::host::Host;

/// An agent on a node.
#[derive(Clone)]
pub(super) struct Agent {
    pub(super) process: Process,
    /// Where it says whether it is ready; an original agent says nothing, and is as ready as it runs.
    pub(super) health_port: Option<u16>,
    pub(super) pod: AgentPod,
}

/// What the agents of a fleet are started with.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) client: Client,
    pub(super) processes: Processes,
    pub(super) programs: Programs,
    /// With the authority that agents trust.
    pub(super) certificates: PathBuf,
    pub(super) options: FleetOptions,
}

impl Site {
    pub(super) fn of(
        plane: &ControlPlane,
        programs: &Programs,
        certificates: &std::path::Path,
        options: &FleetOptions,
    ) -> Self {
        Self {
            client: plane.client(),
            processes: plane.programs(),
            programs: programs.clone(),
            certificates: certificates.to_owned(),
            options: options.clone(),
        }
    }
}

/// Which program is a node's agent.
#[derive(Clone)]
pub(super) enum Choice {
    Ours,
    /// With a kubeconfig for it.
    Original(PathBuf),
    /// The agent whose pod it is. The original needs a kubeconfig.
    OfThePod(PathBuf),
}

/// Starts the agent of one host, again for each of its pods.
#[derive(Clone)]
pub(super) struct Launcher {
    pub(super) site: Site,
    pub(super) host: Arc<Host>,
    /// Where agents find the apiserver.
    pub(super) apiserver_port: u16,
    pub(super) choice: Choice,
}

impl Launcher {
    pub(super) async fn start(&self, pod: &AgentPod) -> anyhow::Result<Agent> {
        match (&self.choice, pod.kind) {
            (Choice::Ours, _) | (Choice::OfThePod(_), Some(Kind::Ours)) => self.start_ours(pod).await,
            (Choice::Original(kubeconfig), _) | (Choice::OfThePod(kubeconfig), Some(Kind::Original)) => {
                original::start(self, pod, kubeconfig).await
            }
            (Choice::OfThePod(_), None) => bail!("{} is no pod of an agent", pod.name),
        }
    }

    async fn start_ours(&self, pod: &AgentPod) -> anyhow::Result<Agent> {
        let Self { site: Site { client, processes, programs, certificates, options }, host, .. } = self;
        let node = host.name();
        let token_file = pod.write_token(client.clone(), host).await?;
        let [health_port] = free_ports()?;
        let program = Program::new(programs.path("agent")?)
            .args(["--node-name", node])
            .args(["--socket".into(), host.socket().as_os_str().to_owned()])
            .args(["--boot-id-file".into(), host.boot_id_file().as_os_str().to_owned()])
            .args(["--token-file".into(), token_file.into_os_string()])
            .args(["--ca-file".into(), certificates.join("ca.crt").into_os_string()])
            .args(["--apiserver-host", "127.0.0.1", "--apiserver-name", APISERVER_NAME])
            .args(["--apiserver-port".to_owned(), self.apiserver_port.to_string()])
            .args(["--check-interval".to_owned(), options.check_interval.as_secs().to_string()])
            .args(["--health-listen".to_owned(), local(health_port)])
            .args(["--termination-log".into(), host.socket().with_file_name("termination-log").into_os_string()])
            .args(["--log-filter", &options.log_filter]);
        let process = processes.spawn(&format!("agent-{node}"), program)?;
        Ok(Agent { process, health_port: Some(health_port), pod: pod.clone() })
    }
}
