//! The control plane with the operator's manifests, and two replicas of the apiserver.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use api::names;
use bytes::Bytes;
use e2e::controlplane::wait::eventually;
use e2e::controlplane::{ControlPlane, Program};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::process::Command;

/// The name in the certificate.
pub(crate) const SERVER_NAME: &str = "brupop-apiserver.brupop-bottlerocket-aws.svc";
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the program as the fleets' are built, so that both share what is built.
pub(crate) async fn build() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(workspace).stdin(Stdio::null());
    assert!(cargo.kill_on_drop(true).status().await.unwrap().success());
    let this = std::env::current_exe().unwrap();
    this.ancestors().nth(2).unwrap().join("apiserver")
}

/// Applies what the apiserver needs.
pub(crate) async fn manifests(plane: &ControlPlane) {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    for part in ["namespace/namespace.yaml", "crd", "rbac", "agent/daemonset.yaml"] {
        plane.apply_path(&config.join(part)).await.unwrap();
    }
    let crd = "crd/bottlerocketshadows.brupop.bottlerocket.aws";
    plane.kubectl(["wait", "--for=condition=Established", "--timeout=30s", crd]).await.unwrap();
}

/// Starts a replica, and returns its port when it is ready, and the folder with the authority to trust.
pub(crate) async fn start(plane: &ControlPlane, program: &Path, name: &str) -> (u16, PathBuf) {
    let certificates = plane.issue_server_certificate("apiserver", &[SERVER_NAME]).unwrap();
    let [port, metrics] = free_ports();
    let account = names::APISERVER_SERVICE_ACCOUNT;
    let kubeconfig = plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await.unwrap();
    let program = Program::new(program)
        .args(["--listen".to_owned(), format!("127.0.0.1:{port}")])
        .args(["--metrics-listen".to_owned(), format!("127.0.0.1:{metrics}")])
        .args(["--tls-dir".into(), certificates.clone().into_os_string()])
        .env("KUBECONFIG", kubeconfig);
    let process = plane.spawn(name, program).unwrap();
    let ready = eventually("the apiserver to be ready", PATIENCE, async || probe(metrics).await).await;
    ready.unwrap_or_else(|error| panic!("{error:#}: {}", process.log_tail(20)));
    (port, certificates)
}

async fn probe(port: u16) -> anyhow::Result<Option<()>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = http::Request::get("/readyz").header(http::header::HOST, "probe").body(Empty::<Bytes>::new())?;
    tokio::select! {
        answer = sender.send_request(request) => Ok((answer?.status() == http::StatusCode::OK).then_some(())),
        ended = connection => Ok(ended.map(|()| None)?),
    }
}

fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    held.each_ref().map(|listener| listener.local_addr().unwrap().port())
}
