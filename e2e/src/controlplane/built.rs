//! Programs beside the control plane's own: found in the user's cache, or built into it.

use std::path::PathBuf;

use super::assets::Assets;
use super::environment::Environment;
use super::toolset::{CERT_MANAGER, CONTAINERD, KUBELET, NODE_IMAGES, PROMETHEUS_OPERATOR, Toolset};

/// The folders with what makes a machine a node.
#[derive(Debug, Clone)]
pub(crate) struct NodePrograms {
    /// kubelet and kube-proxy.
    pub(crate) kubelet: PathBuf,
    /// containerd, its shim and `ctr`.
    pub(crate) containerd: PathBuf,
    /// What the images of a node's own pods hold.
    pub(crate) images: PathBuf,
}

/// The folder with cert-manager's programs and its CRDs. Where it is missing it is built.
///
/// # Errors
/// As [`super::ControlPlane::start`].
pub(crate) async fn certmanager_folder() -> anyhow::Result<PathBuf> {
    folder(&CERT_MANAGER).await
}

/// The folder with the CRDs of the Prometheus operator. Where it is missing they are fetched.
///
/// # Errors
/// As [`super::ControlPlane::start`].
pub async fn prometheus_operator_folder() -> anyhow::Result<PathBuf> {
    folder(&PROMETHEUS_OPERATOR).await
}

/// The programs of a node. Where they are missing they are built.
///
/// # Errors
/// As [`super::ControlPlane::start`].
pub(crate) async fn node_programs() -> anyhow::Result<NodePrograms> {
    Ok(NodePrograms {
        kubelet: folder(&KUBELET).await?,
        containerd: folder(&CONTAINERD).await?,
        images: folder(&NODE_IMAGES).await?,
    })
}

async fn folder(tools: &'static Toolset) -> anyhow::Result<PathBuf> {
    let environment = Environment::read()?;
    let assets = tokio::task::spawn_blocking(move || Assets::cached(&environment, tools)).await??;
    Ok(assets.program(""))
}
