//! What `config` installs, and the two programs that run once in a cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use api::names;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::programs::Programs;
use crate::controlplane::wait::eventually;
use crate::controlplane::{ControlPlane, Process, Program, free_port};
use crate::install::{Manifest, workspace};
use crate::original;

/// How long a program has until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// The name in the apiserver's certificate, which agents insist on.
pub const APISERVER_NAME: &str = "brupop-apiserver.brupop-bottlerocket-aws.svc";

/// The programs that run once in a cluster.
pub(super) struct Installed {
    pub(super) controller: Process,
    pub(super) controller_metrics: u16,
    pub(super) apiserver: Process,
    pub(super) apiserver_port: u16,
    pub(super) apiserver_metrics: u16,
    /// The folder with the certificate authority that agents trust, as `ca.crt`.
    pub(super) certificates: PathBuf,
}

/// Applies the shipped manifest, but for what this control plane has no room for: it has no cert-manager, the programs are
/// processes in the place of Deployments, and the webhook configuration follows with their ports. Beside it what a policy with
/// `onTimeout: Force` needs.
///
/// # Errors
/// When an object is not accepted.
pub async fn apply_manifests(plane: &ControlPlane) -> anyhow::Result<()> {
    let elsewhere = |group: &str, kind: &str| {
        group == "cert-manager.io" || matches!(kind, "Deployment" | "ValidatingWebhookConfiguration")
    };
    let manifest = Manifest::shipped()?.only(|group, kind| !elsewhere(group, kind));
    plane.apply(&manifest.text()).await.context("the shipped manifest")?;
    let force = workspace("config/components/force-drain/role.yaml");
    plane.apply_path(&force).await.context("the component force-drain")?;
    plane
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd/bottlerocketshadows.brupop.bottlerocket.aws",
            "crd/updatepolicies.brupop.bottlerocket.aws",
        ])
        .await?;
    Ok(())
}

/// One replica of the apiserver.
pub struct Replica {
    /// Its process.
    pub process: Process,
    /// The port that it serves agents on.
    pub port: u16,
    /// The port of its health and metrics.
    pub metrics_port: u16,
}

/// The flags of a replica whose agents have one address between them. It is shipped for callers that have an address each.
pub const ONE_ADDRESS: &[&str] = &["--max-unauthenticated-connections-per-ip", "4096"];

/// Starts a replica of the apiserver under `name`, with the certificate in a folder, the kubeconfig by which it reaches Kubernetes, and
/// further flags. It is not ready yet: see [`ready`].
///
/// # Errors
/// When it cannot be started.
pub fn start_apiserver(
    plane: &ControlPlane,
    programs: &Programs,
    name: &str,
    certificates: &Path,
    kubeconfig: PathBuf,
    log_filter: &str,
    flags: &[&str],
) -> anyhow::Result<Replica> {
    let [port, metrics_port] = free_ports()?;
    let program = Program::new(programs.path("apiserver")?)
        .args(["--listen".to_owned(), local(port)])
        .args(["--metrics-listen".to_owned(), local(metrics_port)])
        .args(["--tls-dir".into(), certificates.as_os_str().to_owned()])
        .args(flags)
        .args(["--log-filter", log_filter])
        .env("KUBECONFIG", kubeconfig);
    Ok(Replica { process: plane.spawn(name, program)?, port, metrics_port })
}

/// Starts a controller under `name`, with its metrics on a port. It is not ready yet: see [`ready`].
///
/// # Errors
/// When it cannot be started.
pub async fn start_controller(
    plane: &ControlPlane,
    programs: &Programs,
    name: &str,
    metrics_port: u16,
    log_filter: &str,
) -> anyhow::Result<Process> {
    let account = names::CONTROLLER_SERVICE_ACCOUNT;
    let program = Program::new(programs.path("controller")?)
        .args(["--metrics-listen".to_owned(), local(metrics_port)])
        .args(["--log-filter", log_filter])
        // As the manifest has it from the pod: it begins the process's identity in the Lease.
        .env("POD_NAME", name)
        .env("KUBECONFIG", plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await?);
    plane.spawn(name, program)
}

/// Starts the apiserver and the controller, and waits until both are ready.
pub(super) async fn start_programs(
    plane: &ControlPlane,
    programs: &Programs,
    log_filter: &str,
) -> anyhow::Result<Installed> {
    let certificates = plane.issue_server_certificate("apiserver", &[APISERVER_NAME, original::SERVER_NAME])?;
    let [controller_metrics] = free_ports()?;
    let account = async |account| plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await;
    let kubeconfig = account(names::APISERVER_SERVICE_ACCOUNT).await?;
    let name = "brupop-apiserver";
    let apiserver = start_apiserver(plane, programs, name, &certificates, kubeconfig, log_filter, ONE_ADDRESS)?;
    let controller = start_controller(plane, programs, "brupop-controller", controller_metrics, log_filter).await?;
    ready(&apiserver.process, apiserver.metrics_port).await?;
    ready(&controller, controller_metrics).await?;
    Ok(Installed {
        controller,
        controller_metrics,
        apiserver: apiserver.process,
        apiserver_port: apiserver.port,
        apiserver_metrics: apiserver.metrics_port,
        certificates,
    })
}

/// Waits until a program's `/readyz` says so.
///
/// # Errors
/// When that does not come about within half a minute; the message has the end of its log.
pub async fn ready(process: &Process, port: u16) -> anyhow::Result<()> {
    let what = format!("{} to be ready", process.name());
    let ready = eventually(&what, PATIENCE, async || Ok(is_ready(port).await.then_some(())));
    ready.await.with_context(|| format!("its log ends with\n{}", process.log_tail(20)))
}

/// Whether `/readyz` on a local port answers 200.
pub async fn is_ready(port: u16) -> bool {
    get(port, "/readyz").await.is_ok()
}

/// The body of a 200 answer on a local port, asked for in plain HTTP.
///
/// # Errors
/// When there is no such answer within a second.
pub async fn get(port: u16, path: &str) -> anyhow::Result<String> {
    let ask = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = http::Request::get(path).header(http::header::HOST, "probe").body(Empty::<Bytes>::new())?;
        let answer = async {
            let answer = sender.send_request(request).await?;
            ensure!(answer.status() == http::StatusCode::OK, "{path} answers {}", answer.status());
            let body = Limited::new(answer.into_body(), 4 << 20).collect().await;
            let body = body.map_err(|error| anyhow!(error))?.to_bytes();
            Ok(String::from_utf8_lossy(&body).into_owned())
        };
        tokio::select! {
            answer = answer => answer,
            ended = connection => Err(ended.err().map_or_else(|| anyhow!("the connection ended"), Into::into)),
        }
    };
    timeout(Duration::from_secs(1), ask).await.context("no answer within a second")?
}

pub(crate) fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Ports that were free a moment ago, and that nobody else in this process is given.
///
/// # Errors
/// When there is none.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free_port().context("no free port")?;
    }
    Ok(ports)
}
