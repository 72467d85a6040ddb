//! A cluster of real nodes: kubelet, containerd, kube-proxy and cluster DNS in namespaces of this machine, each node a simulated
//! Bottlerocket host, and the operator installed from its manifest and its image alone.
//!
//! ```text
//! requirements ─► ControlPlane in a network of its own ◄─plug─ RealNode { files, node.sh, group }
//! images (pause, DNS, operator) ─► RealNode
//! Host ─HostEvent─► power ─► RealNode: off, on again with another boot id and version
//! cluster: all of it, with cert-manager ─► install: the manifest ─► usage: what its pods take
//! ```
//!
//! What is simulated is the host's update API on `/run/api.sock`, and that a node's reboot is the end of its namespaces rather
//! than of a kernel. Everything else is what runs in production: pods, mounts, tokens, certificates, Services, DNS, evictions.

mod cluster;
mod files;
mod group;
mod images;
mod install;
mod node;
mod power;
mod requirements;
mod usage;

pub use cluster::{RealCluster, RealClusterOptions};
pub use node::RealNode;
pub use usage::{PodUsage, table};

use crate::controlplane::NodePrograms;

/// Whether this machine can carry real nodes.
///
/// # Errors
/// One sentence that says why it cannot.
pub fn available() -> anyhow::Result<()> {
    requirements::machine().map(drop)
}
