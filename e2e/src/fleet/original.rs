//! Agents of the original operator in a fleet: they read their shadow and their Node from Kubernetes by themselves.

use std::path::{Path, PathBuf};

use api::names;

use super::agents::{Agent, Launcher, Site};
use super::pods::AgentPod;
use crate::controlplane::{ControlPlane, Program};

/// Gives agents the role of the original's agents; answers a kubeconfig for them.
pub(super) async fn install(plane: &ControlPlane) -> anyhow::Result<PathBuf> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/original-agent-role.yaml");
    plane.apply_path(&fixture).await?;
    access(plane).await
}

/// A kubeconfig for the agents' account, where it has its role already.
pub(super) async fn access(plane: &ControlPlane) -> anyhow::Result<PathBuf> {
    plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, names::AGENT_SERVICE_ACCOUNT).await
}

/// Starts the original agent of a pod.
pub(super) async fn start(launcher: &Launcher, pod: &AgentPod, kubeconfig: &Path) -> anyhow::Result<Agent> {
    let Launcher { site: Site { client, processes, programs, certificates, options }, host, .. } = launcher;
    let token_file = pod.write_token(client.clone(), host).await?;
    let program = Program::new(programs.path("original-agent")?)
        .args(["--node-name", host.name()])
        .args(["--socket".into(), host.socket().as_os_str().to_owned()])
        .args(["--kubeconfig".into(), kubeconfig.as_os_str().to_owned()])
        .args(["--token-file".into(), token_file.into_os_string()])
        .args(["--ca-file".into(), certificates.join("ca.crt").into_os_string()])
        .args(["--apiserver-port".to_owned(), launcher.apiserver_port.to_string()])
        .args(["--exclude-from-lb-wait".to_owned(), options.original.exclude_from_lb_wait.to_string()])
        .args(["--faster".to_owned(), options.original.faster.to_string()]);
    let process = processes.spawn(&format!("original-agent-{}", host.name()), program)?;
    Ok(Agent { process, health_port: None, pod: pod.clone() })
}
