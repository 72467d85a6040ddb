//! Something to evict: workloads with budgets, as a cluster has them.

use crate::controlplane::{ControlPlane, stages};

/// Applies the workloads.
pub(super) async fn deploy(plane: &ControlPlane) -> anyhow::Result<()> {
    for (kind, name, replicas, most_unavailable) in
        [("Deployment", "web", 6, 2), ("StatefulSet", "db", 6, 1), ("Deployment", "batch", 3, 3)]
    {
        plane.apply(&workload(kind, name, replicas, most_unavailable)).await?;
    }
    Ok(())
}

/// A workload whose pods take two seconds to end, and its budget. A StatefulSet replaces a pod only when the old one is gone:
/// with a budget of one, drains of two nodes get in each other's way.
fn workload(kind: &str, name: &str, replicas: u32, most_unavailable: u32) -> String {
    let termination = stages::TERMINATION;
    format!(
        "apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, namespace: default}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata:
      labels: {{app: {name}}}
      annotations: {{{termination}: 2s}}
    spec:
      terminationGracePeriodSeconds: 5
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 100
            podAffinityTerm: {{topologyKey: kubernetes.io/hostname, labelSelector: {{matchLabels: {{app: {name}}}}}}}
      containers: [{{name: {name}, image: example.invalid/{name}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: {name}, namespace: default}}
spec:
  maxUnavailable: {most_unavailable}
  selector: {{matchLabels: {{app: {name}}}}}
"
    )
}
