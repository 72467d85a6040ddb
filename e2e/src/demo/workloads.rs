//! Something to evict: Deployments with budgets, as a cluster has them.

use crate::controlplane::ControlPlane;

/// Applies the workloads.
pub(super) async fn deploy(plane: &ControlPlane) -> anyhow::Result<()> {
    for (name, replicas, most_unavailable) in [("web", 6, 1), ("api", 4, 2), ("batch", 3, 3)] {
        plane.apply(&workload(name, replicas, most_unavailable)).await?;
    }
    Ok(())
}

fn workload(name: &str, replicas: u32, most_unavailable: u32) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: default}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
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
