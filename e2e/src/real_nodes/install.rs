//! The operator, installed as people install it.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::cluster::RealCluster;
use crate::install::{FILE, workspace};

/// The operator's workloads.
const WORKLOADS: [&str; 4] = [
    "deployment/brupop-controller-deployment",
    "deployment/brupop-apiserver",
    "deployment/brupop-webhook",
    "daemonset/brupop-agent",
];

impl RealCluster {
    /// Applies the manifest as it is shipped and waits for every pod, as the README has it. Answers how long it took.
    ///
    /// # Errors
    /// When the API server refuses something of it, or a workload does not come up.
    pub async fn install(&self) -> anyhow::Result<Duration> {
        let manifest = std::fs::read_to_string(workspace(FILE)).context(FILE)?;
        self.install_manifest(&manifest).await
    }

    /// The same with another manifest, such as one with components.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub async fn install_manifest(&self, manifest: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let path = self.plane.dir().join("manifest.yaml");
        std::fs::write(&path, manifest).context("cannot write a manifest")?;
        self.plane.kubectl(["apply".as_ref(), "--filename".as_ref(), path.as_os_str()]).await?;
        for workload in WORKLOADS {
            self.rolled_out(workload).await?;
        }
        Ok(began.elapsed())
    }
}
