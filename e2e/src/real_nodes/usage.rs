//! What the operator's pods take, as their kubelets count it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde::Deserialize;

use super::cluster::RealCluster;
use crate::image::Size;

/// What one pod takes.
#[derive(Clone, Debug)]
pub struct PodUsage {
    /// The pod.
    pub name: String,
    /// Where it runs.
    pub node: String,
    /// Memory that cannot be given back, in bytes; what its limit counts.
    pub memory: u64,
    /// Its limit.
    pub limit: Option<Quantity>,
    /// Processor time since the container started, in milliseconds.
    pub cpu: u64,
}

#[derive(Deserialize)]
struct Summary {
    pods: Vec<Counted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    pod_ref: Reference,
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    namespace: String,
}

#[derive(Deserialize)]
struct Container {
    cpu: Option<Cpu>,
    memory: Option<Memory>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    usage_core_nano_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    working_set_bytes: Option<u64>,
}

impl RealCluster {
    /// What each of the operator's pods takes now.
    ///
    /// # Errors
    /// When a kubelet does not answer.
    pub async fn usage(&self) -> anyhow::Result<Vec<PodUsage>> {
        let mut counted = BTreeMap::new();
        for node in self.names() {
            let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
            let request = http::Request::get(path).body(Vec::new())?;
            let summary: Summary = self.plane.client().request(request).await.with_context(|| node.to_owned())?;
            let ours = summary.pods.into_iter().filter(|pod| pod.pod_ref.namespace == api::names::DEFAULT_NAMESPACE);
            counted.extend(ours.map(|pod| (pod.pod_ref.name, pod.containers)));
        }
        let pods: Api<Pod> = Api::namespaced(self.plane.client(), api::names::DEFAULT_NAMESPACE);
        let pods = pods.list(&ListParams::default()).await?;
        Ok(pods.items.iter().filter_map(|pod| usage(pod, counted.get(&pod.name_any())?)).collect())
    }
}

fn usage(pod: &Pod, containers: &[Container]) -> Option<PodUsage> {
    let spec = pod.spec.as_ref()?;
    let limits = |container: &k8s_openapi::api::core::v1::Container| container.resources.as_ref()?.limits.clone();
    let memory = |container: &Container| container.memory.as_ref()?.working_set_bytes;
    let cpu = |container: &Container| container.cpu.as_ref()?.usage_core_nano_seconds;
    Some(PodUsage {
        name: pod.name_any(),
        node: spec.node_name.clone()?,
        memory: containers.iter().filter_map(memory).sum(),
        limit: spec.containers.first().and_then(limits).and_then(|limits| limits.get("memory").cloned()),
        cpu: containers.iter().filter_map(cpu).sum::<u64>() / 1_000_000,
    })
}

/// The usage as a table for people.
#[must_use]
pub fn table(usage: &[PodUsage]) -> String {
    let width = usage.iter().map(|pod| pod.name.len()).max().unwrap_or_default();
    let mut table = format!("{:<width$}  {:<8}  {:>10}  {:>8}  {:>9}\n", "POD", "NODE", "MEMORY", "LIMIT", "CPU");
    for pod in usage {
        let limit = pod.limit.as_ref().map_or("none", |limit| limit.0.as_str());
        let memory = Size(pod.memory).to_string();
        // Writing to a String does not fail.
        let _ = writeln!(table, "{:<width$}  {:<8}  {memory:>10}  {limit:>8}  {:>6} ms", pod.name, pod.node, pod.cpu);
    }
    table
}
