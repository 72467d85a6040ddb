//! What a real node needs to join.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::kubeconfig::{self, Login};
use super::pki::write_private;
use super::plane::ControlPlane;
use super::underlay::{API_PORT, CONTROL_PLANE};

/// Files of one node: who its programs are, and whom they trust.
#[derive(Debug, Clone)]
pub(crate) struct Enrolment {
    /// The kubelet's kubeconfig, with the rights of that node alone.
    pub(crate) kubelet: PathBuf,
    /// kube-proxy's.
    pub(crate) proxy: PathBuf,
    /// The kubelet's serving certificate, for logs and `exec`.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// The cluster's authority.
    pub(crate) authority: PathBuf,
}

impl ControlPlane {
    /// Writes them for the node of that name and address, which reaches the API at `server`.
    pub(crate) fn enrol(&self, node: &str, address: Ipv4Addr, server: &str) -> anyhow::Result<Enrolment> {
        let folder = &self.site.folder;
        let authority = folder.pki().join("ca.crt");
        let proxy = self.login("kube-proxy", server, "system:kube-proxy", None)?;
        let kubelet = self.login(node, server, &format!("system:node:{node}"), Some("system:nodes"))?;
        let serving = self.cluster_authority.server(node, &[node, &address.to_string()])?;
        let (certificate, key) = (folder.pki().join(format!("{node}.crt")), folder.pki().join(format!("{node}.key")));
        write_private(&certificate, &serving.certificate)?;
        write_private(&key, &serving.key)?;
        Ok(Enrolment { kubelet, proxy, certificate, key, authority })
    }

    /// The kubeconfig of a kube-proxy in the control plane's own network.
    pub(crate) fn kubeconfig_in_network(&self) -> anyhow::Result<PathBuf> {
        self.login("kube-proxy", &format!("https://{CONTROL_PLANE}:{API_PORT}"), "system:kube-proxy", None)
    }

    /// A kubeconfig with the rights of the kubelet of the node of that name alone, for those who do what it could do.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kubelet_kubeconfig(&self, node: &str) -> anyhow::Result<PathBuf> {
        self.login(node, self.server(), &format!("system:node:{node}"), Some("system:nodes"))
    }

    fn login(&self, name: &str, server: &str, user: &str, group: Option<&str>) -> anyhow::Result<PathBuf> {
        let folder = &self.site.folder;
        let identity = self.cluster_authority.client(user, group)?;
        let path = folder.kubeconfig(&format!("node.{name}"));
        kubeconfig::write(&path, server, &folder.pki().join("ca.crt"), &Login::Certificate(&identity))?;
        Ok(path)
    }
}
