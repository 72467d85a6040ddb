//! Pods to evict, and the budget that says how many of them at once.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::controlplane::ControlPlane;
use crate::controlplane::wait::until;

/// A workload in the namespace `default`, with a budget of its own. Both, and the label `app` of the pods, have its name.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    /// `Deployment` or `StatefulSet`. The latter replaces a pod only when the old one is gone.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// How many pods.
    pub replicas: u32,
    /// How many of them may be away at once; 0: none is ever evicted.
    pub max_unavailable: u32,
    /// Annotations of its pods, as YAML's flow mapping has them between its braces.
    pub annotations: &'a str,
}

impl<'a> Workload<'a> {
    /// A Deployment whose pods end at once.
    #[must_use]
    pub const fn deployment(name: &'a str, replicas: u32, max_unavailable: u32) -> Self {
        Self { kind: "Deployment", name, replicas, max_unavailable, annotations: "" }
    }

    /// Both objects, as YAML. The pods are spread over the nodes as far as there are any.
    #[must_use]
    pub fn manifest(&self) -> String {
        let Self { kind, name, replicas, max_unavailable, annotations } = self;
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
      annotations: {{{annotations}}}
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
  maxUnavailable: {max_unavailable}
  selector: {{matchLabels: {{app: {name}}}}}
"
        )
    }

    /// Applies it, and waits until its budget counts every pod as healthy.
    ///
    /// # Errors
    /// When that has not come about within `patience`.
    pub async fn run(&self, plane: &ControlPlane, patience: Duration) -> anyhow::Result<()> {
        plane.apply(&self.manifest()).await.with_context(|| self.name.to_owned())?;
        let replicas = i64::from(self.replicas);
        let is_counted = |budget: Option<&PodDisruptionBudget>| {
            let healthy = budget.and_then(|budget| budget.status.as_ref()?.current_healthy);
            healthy.is_some_and(|healthy| i64::from(healthy) == replicas)
        };
        until(&budgets(plane), self.name, "the budget to count the pods", patience, is_counted).await?;
        Ok(())
    }

    /// Lets so many of its pods be away at once from now on.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn allow(&self, plane: &ControlPlane, max_unavailable: u32) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"spec": {"maxUnavailable": max_unavailable}}));
        let patched = budgets(plane).patch(self.name, &PatchParams::default(), &patch).await;
        patched.with_context(|| self.name.to_owned())?;
        Ok(())
    }
}

fn budgets(plane: &ControlPlane) -> Api<PodDisruptionBudget> {
    Api::default_namespaced(plane.client())
}
