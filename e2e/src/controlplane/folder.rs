//! Where a control plane keeps what.

use std::path::{Path, PathBuf};

/// The files of one control plane. Only paths: nothing is read or written here.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn at(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// The folders that have to exist before a server starts.
    pub(super) fn folders(&self) -> [PathBuf; 5] {
        [self.pki(), self.kubeconfigs(), self.logs(), self.tokens(), self.certificates()]
    }

    pub(super) fn etcd_data(&self) -> PathBuf {
        self.0.join("etcd")
    }

    pub(super) fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// Certificates issued to programs other than the control plane's own.
    pub(super) fn certificates(&self) -> PathBuf {
        self.0.join("certificates")
    }

    pub(super) fn kubeconfigs(&self) -> PathBuf {
        self.0.join("kubeconfigs")
    }

    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.kubeconfigs().join(format!("{user}.kubeconfig"))
    }

    /// The administrator's, which people type.
    pub(super) fn admin_kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    pub(super) fn tokens(&self) -> PathBuf {
        self.0.join("tokens")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.logs().join("audit.log")
    }

    pub(super) fn audit_policy(&self) -> PathBuf {
        self.0.join("audit-policy.yaml")
    }

    pub(super) fn stages(&self) -> PathBuf {
        self.0.join("stages.yaml")
    }

    /// What the API held when a test failed.
    pub(super) fn dump(&self) -> PathBuf {
        self.0.join("dump")
    }
}
