//! A fleet: a control plane, simulated Bottlerocket hosts, and the operator's programs as real processes.
//!
//! ```text
//! programs (built by cargo) ─► installation (namespace, CRDs, RBAC, DaemonSet) ─► apiserver, controller, webhook
//! Host ─HostEvent─► kubelet: kills and restarts the agent, drives the Node and the agent's pod
//! the DaemonSet's pods ─► kubelet: an agent for each, which ends with its pod
//! takeover: the same, where somebody else applies the manifest, over the original operator or not
//! ```
//!
//! Every program runs with the token of its own ServiceAccount under the roles in `config/rbac`; an agent has the token that
//! is bound to its DaemonSet pod, and no access to Kubernetes at all. Only where [`OriginalAgents`] asks for agents of the
//! original operator, agents get the role that these need, from `e2e/fixtures`.

pub mod admission;
mod agents;
pub mod installation;
mod kubelet;
mod node_pods;
mod nodes;
mod options;
mod original;
mod pods;
mod programs;
pub mod rollout;
mod start;
mod takeover;
mod tap;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::{BottlerocketShadow, UpdatePolicy, names};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use semver::Version;
use serde_json::Value;

use crate::controlplane::wait::eventually;
use crate::controlplane::{ControlPlane, Process};
use crate::host::{Host, Release, Repository};
use admission::Webhook;
use installation::get;
use kubelet::Kubelet;
use tap::Tap;

pub use installation::APISERVER_NAME;
pub use options::{FleetOptions, OriginalAgents};
pub(crate) use programs::OF_THE_CALLER;
pub use programs::Programs;
pub use takeover::{Agentless, Bare};

/// A running fleet. Dropping it stops everything.
pub struct Fleet {
    kubelets: BTreeMap<String, Kubelet>,
    taps: BTreeMap<String, Tap>,
    /// The versions that hosts are offered.
    pub repository: Repository,
    /// The controller.
    pub controller: Process,
    /// The operator's apiserver.
    pub apiserver: Process,
    /// The webhook, which kube-apiserver asks about every policy.
    pub webhook: Webhook,
    /// The port of the controller's health and metrics.
    pub controller_metrics_port: u16,
    /// The port of the apiserver's.
    pub apiserver_metrics_port: u16,
    /// The port that the apiserver serves agents on.
    pub apiserver_port: u16,
    /// The folder with the authority of the apiserver's certificate, as `ca.crt`.
    pub certificates: PathBuf,
    programs: Programs,
    /// The control plane. Last, so that it outlives what talks to it.
    pub plane: ControlPlane,
}

impl Fleet {
    /// The names of the nodes, in order.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.kubelets.keys().map(String::as_str)
    }

    /// The hosts, in the order of their nodes.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.kubelets.values().map(|kubelet| &**kubelet.host())
    }

    /// The host of a node.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn host(&self, node: &str) -> &Arc<Host> {
        self.kubelet(node).host()
    }

    /// The agent's process on a node: of the latest pod, where there were several.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn agent(&self, node: &str) -> Process {
        self.kubelet(node).agent()
    }

    /// The port of the health and metrics of a node's agent; an original agent has none.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn agent_metrics_port(&self, node: &str) -> Option<u16> {
        self.kubelet(node).health_port()
    }

    #[expect(clippy::panic, reason = "a test that names a node that is not there is wrong")]
    fn kubelet(&self, node: &str) -> &Kubelet {
        self.kubelets.get(node).unwrap_or_else(|| panic!("no node {node}"))
    }

    /// How often a node's agent has called the apiserver; 0 unless [`FleetOptions::count_calls`].
    pub fn calls(&self, node: &str) -> u64 {
        self.taps.get(node).map_or(0, Tap::connections)
    }

    /// The shadows.
    pub fn shadows(&self) -> Api<BottlerocketShadow> {
        Api::namespaced(self.plane.client(), names::DEFAULT_NAMESPACE)
    }

    /// The shadow of one node.
    ///
    /// # Errors
    /// When there is none.
    pub async fn shadow(&self, node: &str) -> anyhow::Result<BottlerocketShadow> {
        self.shadows().get(&names::shadow_name(node)).await.with_context(|| format!("shadow of {node}"))
    }

    /// Waits until the shadow of a node says these words of what its agent does, and answers with the whole message.
    ///
    /// # Errors
    /// When that has not come about within `patience`.
    pub async fn says(&self, node: &str, words: &str, patience: Duration) -> anyhow::Result<String> {
        eventually(&format!("{node} to say {words:?}"), patience, async || {
            let message = self.shadow(node).await?.status.and_then(|status| status.message).unwrap_or_default();
            Ok(message.contains(words).then_some(message))
        })
        .await
    }

    /// The policies.
    pub fn policies(&self) -> Api<UpdatePolicy> {
        Api::all(self.plane.client())
    }

    /// The Nodes.
    pub fn node_objects(&self) -> Api<Node> {
        Api::all(self.plane.client())
    }

    /// Merges `spec` into a policy's spec, as `kubectl edit` would.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn edit_policy(&self, name: &str, spec: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(serde_json::json!({ "spec": spec }));
        self.policies().patch(name, &PatchParams::default(), &patch).await.with_context(|| format!("policy {name}"))?;
        Ok(())
    }

    /// Waits until `count` nodes run `version`, at rest: Idle asked for and reported, and schedulable.
    ///
    /// # Errors
    /// When that has not come about within `patience`.
    pub async fn updated(&self, version: &Version, count: usize, patience: Duration) -> anyhow::Result<()> {
        rollout::updated(self.plane.client(), version, count, patience).await
    }

    /// How long all agents of a fleet have until they have reported what their nodes run.
    pub const FIRST_REPORTS: Duration = Duration::from_secs(60);

    /// Waits until every node's agent has reported what it runs.
    ///
    /// # Errors
    /// When that has not come about within `patience`.
    pub async fn reported(&self, patience: Duration) -> anyhow::Result<()> {
        eventually("every agent to report", patience, async || {
            let shadows = self.shadows().list(&ListParams::default()).await?;
            let reported = shadows.items.iter().filter(|shadow| shadow.status.is_some()).count();
            Ok((reported == self.kubelets.len()).then_some(()))
        })
        .await
    }

    /// Publishes a version; hosts are offered it from their next check on.
    pub fn publish(&self, version: &Version) {
        self.repository.publish(Release::new(version.clone()));
    }

    /// Deletes a Node and registers it anew, as a kubelet does that finds it gone: with its own labels, and nothing of what
    /// others have written on it. Its agent gets a token that knows the new Node.
    ///
    /// # Errors
    /// When the API server refuses it, or the old Node does not go.
    pub async fn register_anew(&self, node: &str) -> anyhow::Result<()> {
        nodes::register_anew(&self.plane, self.host(node)).await?;
        self.kubelet(node).renew_token().await
    }

    /// The file with the token of a node's agent.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn token_file(&self, node: &str) -> PathBuf {
        self.kubelet(node).token_file()
    }

    /// What the apiserver counts, in Prometheus' text format.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn apiserver_metrics(&self) -> anyhow::Result<String> {
        get(self.apiserver_metrics_port, "/metrics").await.context("metrics of the apiserver")
    }

    /// Starts a second controller and waits until it is ready to take over.
    ///
    /// # Errors
    /// When it cannot be started, or is not ready within half a minute.
    pub async fn second_controller(&self) -> anyhow::Result<Process> {
        let [port] = installation::free_ports()?;
        let name = "brupop-controller-2";
        let process = installation::start_controller(&self.plane, &self.programs, name, port, "info").await?;
        installation::ready(&process, port).await?;
        Ok(process)
    }

    /// How many times each host came up since the start.
    pub fn boots(&self) -> BTreeMap<&str, usize> {
        self.kubelets.iter().map(|(name, kubelet)| (name.as_str(), kubelet.host().boots().len())).collect()
    }
}
