//! Something to evict: workloads with budgets, as a cluster has them.

use crate::controlplane::{ControlPlane, stages};
use crate::workload::Workload;

/// Applies the workloads. Their pods take two seconds to end; drains of two nodes get in each other's way at the StatefulSet.
pub(super) async fn deploy(plane: &ControlPlane) -> anyhow::Result<()> {
    let annotations = format!("{}: 2s", stages::TERMINATION);
    for (kind, name, replicas, max_unavailable) in
        [("Deployment", "web", 6, 2), ("StatefulSet", "db", 6, 1), ("Deployment", "batch", 3, 3)]
    {
        let workload = Workload { kind, name, replicas, max_unavailable, annotations: &annotations };
        plane.apply(&workload.manifest()).await?;
    }
    Ok(())
}
