//! Sets of programs that are built from pinned Go modules.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Bytes of the digest that a folder's name carries: 48 bits, far more than one machine's few versions need.
const NAME_BYTES: usize = 6;

/// Programs that are built together, from one module of tools.
#[derive(Debug)]
pub(super) struct Toolset {
    /// What its folder in the cache begins with.
    pub(super) name: &'static str,
    /// What people read while it is built.
    pub(super) title: &'static str,
    /// `go.mod` of the tool module, as it was when this crate was compiled.
    pub(super) go_mod: &'static str,
    /// Its `go.sum`.
    pub(super) go_sum: &'static str,
    /// Packages of the module's own: paths in it, and what is there.
    pub(super) sources: &'static [(&'static str, &'static str)],
    /// The programs, by the names of their files.
    pub(super) programs: &'static [&'static str],
    /// Programs whose main package is called something else: what it is called, and the file.
    pub(super) renamed: &'static [(&'static str, &'static str)],
    /// A module, and a folder in it whose YAML files are copied beside the programs. The module carries its version where none of the
    /// programs comes from it.
    pub(super) manifests: Option<(&'static str, &'static str)>,
}

/// The programs of a control plane.
pub(super) const CONTROL_PLANE: Toolset = Toolset {
    name: "controlplane",
    title: "the control plane",
    go_mod: include_str!("../../controlplane/go.mod"),
    go_sum: include_str!("../../controlplane/go.sum"),
    sources: &[],
    programs: &["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"],
    // The main package of etcd is called `server`.
    renamed: &[("server", "etcd")],
    manifests: None,
};

/// The programs of cert-manager that issue and inject, with its CRDs.
pub(super) const CERT_MANAGER: Toolset = Toolset {
    name: "certmanager",
    title: "cert-manager",
    go_mod: include_str!("../../certmanager/go.mod"),
    go_sum: include_str!("../../certmanager/go.sum"),
    sources: &[],
    programs: &["cert-manager-cainjector", "cert-manager-controller"],
    renamed: &[("cainjector", "cert-manager-cainjector"), ("controller", "cert-manager-controller")],
    manifests: Some(("github.com/cert-manager/cert-manager", "deploy/crds")),
};

/// The CRDs of the Prometheus operator, and none of its programs.
pub(super) const PROMETHEUS_OPERATOR: Toolset = Toolset {
    name: "prometheus-operator",
    title: "the Prometheus operator's CRDs",
    go_mod: include_str!("../../prometheus-operator/go.mod"),
    go_sum: include_str!("../../prometheus-operator/go.sum"),
    sources: &[],
    programs: &[],
    renamed: &[],
    manifests: Some(("github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd")),
};

/// The programs of a node, in the versions of [`CONTROL_PLANE`], so that a build after that one is short.
pub(super) const KUBELET: Toolset = Toolset {
    name: "kubelet",
    title: "the kubelet",
    go_mod: include_str!("../../kubelet/go.mod"),
    go_sum: include_str!("../../kubelet/go.sum"),
    sources: &[],
    programs: &["kubelet", "kube-proxy"],
    renamed: &[],
    manifests: None,
};

/// The container runtime of a node; runc is the machine's.
pub(super) const CONTAINERD: Toolset = Toolset {
    name: "containerd",
    title: "containerd",
    go_mod: include_str!("../../containerd/go.mod"),
    go_sum: include_str!("../../containerd/go.sum"),
    sources: &[],
    programs: &["containerd", "containerd-shim-runc-v2", "ctr"],
    renamed: &[],
    manifests: None,
};

/// What the images of a node's own pods hold.
pub(super) const NODE_IMAGES: Toolset = Toolset {
    name: "node-images",
    title: "cluster DNS",
    go_mod: include_str!("../../node-images/go.mod"),
    go_sum: include_str!("../../node-images/go.sum"),
    sources: &[
        ("coredns/main.go", include_str!("../../node-images/coredns/main.go")),
        ("pause/main.go", include_str!("../../node-images/pause/main.go")),
    ],
    programs: &["coredns", "pause"],
    renamed: &[],
    manifests: None,
};

impl Toolset {
    /// Derived from what is built, so that another version gets another folder and a second clone shares the first one's.
    pub(super) fn folder_name(&self) -> String {
        folder_name(self.name, [self.go_mod, self.go_sum].into_iter().chain(self.sources.iter().map(|(_, text)| *text)))
    }
}

fn folder_name<'a>(name: &str, texts: impl IntoIterator<Item = &'a str>) -> String {
    let digest = texts.into_iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    let mut name = format!("{name}-");
    for byte in digest.iter().take(NAME_BYTES) {
        // Writing to a String does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_start_of_the_digest_of_both_files() {
        // printf 'module m\nsum\n' | sha256sum
        assert_eq!(folder_name("controlplane", ["module m\n", "sum\n"]), "controlplane-5b92640e75ce");
    }

    #[test]
    fn a_change_of_any_file_changes_the_name() {
        let name = folder_name("a", ["module m\n", "sum\n"]);
        assert_ne!(name, folder_name("a", ["module n\n", "sum\n"]));
        assert_ne!(name, folder_name("a", ["module m\n", "sun\n"]));
    }
}
