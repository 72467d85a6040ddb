//! One agent process for each host, with the token that is bound to its DaemonSet pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use api::names;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::installation::{APISERVER_NAME, free_ports, local};
use super::options::FleetOptions;
use super::programs::Programs;
use crate::controlplane::wait::eventually;
use crate::controlplane::{ControlPlane, Process, Program};
use crate::host::Host;

/// How long the DaemonSet has until a node has its pod.
const PATIENCE: Duration = Duration::from_secs(60);

/// The token's file, beside the host's socket.
pub(super) const TOKEN_FILE: &str = "token";

/// An agent on a node.
pub(super) struct Agent {
    pub(super) process: Process,
    /// Where it says whether it is ready; an original agent says nothing, and is as ready as it runs.
    pub(super) health_port: Option<u16>,
    /// Its pod's name.
    pub(super) pod: String,
}

/// Where agents are started.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) plane: &'a ControlPlane,
    pub(super) programs: &'a Programs,
    /// With the authority that agents trust.
    pub(super) certificates: &'a Path,
    pub(super) options: &'a FleetOptions,
}

/// Starts the agent of `host`, which finds the apiserver on `apiserver_port`.
pub(super) async fn start(site: Site<'_>, host: &Host, apiserver_port: u16) -> anyhow::Result<Agent> {
    let Site { plane, programs, certificates, options } = site;
    let node = host.name();
    let (pod, token_file) = enlist(plane, host).await?;
    let [health_port] = free_ports()?;
    let program = Program::new(programs.path("agent")?)
        .args(["--node-name", node])
        .args(["--socket".into(), host.socket().as_os_str().to_owned()])
        .args(["--boot-id-file".into(), host.boot_id_file().as_os_str().to_owned()])
        .args(["--token-file".into(), token_file.into_os_string()])
        .args(["--ca-file".into(), certificates.join("ca.crt").into_os_string()])
        .args(["--apiserver-host", "127.0.0.1", "--apiserver-name", APISERVER_NAME])
        .args(["--apiserver-port".to_owned(), apiserver_port.to_string()])
        .args(["--check-interval".to_owned(), options.check_interval.as_secs().to_string()])
        .args(["--health-listen".to_owned(), local(health_port)])
        .args(["--termination-log".into(), host.socket().with_file_name("termination-log").into_os_string()])
        .args(["--log-filter", &options.log_filter]);
    let process = plane.spawn(&format!("agent-{node}"), program)?;
    Ok(Agent { process, health_port: Some(health_port), pod })
}

/// Waits for the pod of a host's agent; answers its name and the file with its token.
pub(super) async fn enlist(plane: &ControlPlane, host: &Host) -> anyhow::Result<(String, PathBuf)> {
    let pod = pod_on(plane, host.name()).await?;
    let uid = pod.uid().context("a pod without a uid")?;
    let account = names::AGENT_SERVICE_ACCOUNT;
    let pod = pod.name_any();
    let token = plane.token_for_pod(names::DEFAULT_NAMESPACE, account, &pod, &uid, names::TOKEN_AUDIENCE).await?;
    let token_file = host.socket().with_file_name(TOKEN_FILE);
    std::fs::write(&token_file, token).with_context(|| format!("cannot write {}", token_file.display()))?;
    Ok((pod, token_file))
}

/// The agents' pods.
pub(super) fn all() -> ListParams {
    ListParams::default().labels(&format!("{}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT))
}

pub(super) async fn pod_on(plane: &ControlPlane, node: &str) -> anyhow::Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(plane.client(), names::DEFAULT_NAMESPACE);
    let agents = all().fields(&format!("spec.nodeName={node}"));
    eventually(&format!("the agent's pod on {node}"), PATIENCE, async || {
        Ok(pods.list(&agents).await?.items.into_iter().next())
    })
    .await
}
