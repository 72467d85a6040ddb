//! The pods of agents: whose they are, and what a node's kubelet gives them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use api::names;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use crate::controlplane::token_for_pod;
use crate::controlplane::wait::eventually;
use crate::host::Host;

/// How long the DaemonSet has until a node has its pod.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pod of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AgentPod {
    pub(super) name: String,
    pub(super) uid: String,
    /// Whose agent it is of; `None`: of neither operator's.
    pub(super) kind: Option<Kind>,
    /// How long its programs have when they are asked to end.
    pub(super) grace: Duration,
}

/// Whose agent a pod is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Original,
    Ours,
}

impl AgentPod {
    /// Of a pod that is there to stay; `None` of one that is being deleted.
    pub(super) fn living(pod: &Pod) -> Option<Self> {
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let grace = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        let grace = Duration::from_secs(grace.and_then(|seconds| seconds.try_into().ok()).unwrap_or(30));
        Some(Self { name: pod.name_any(), uid: pod.uid()?, kind: kind(pod), grace })
    }

    /// Writes its token where a pod of this host finds it. Each pod has a file of its own: a program of an earlier pod does not
    /// come by the token of this one.
    pub(super) async fn write_token(&self, client: Client, host: &Host) -> anyhow::Result<PathBuf> {
        let account = names::AGENT_SERVICE_ACCOUNT;
        let pod = (self.name.as_str(), self.uid.as_str());
        let token = token_for_pod(client, names::DEFAULT_NAMESPACE, account, pod, names::TOKEN_AUDIENCE).await?;
        let file = self.token_file(host);
        replace(&file, &token).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    pub(super) fn token_file(&self, host: &Host) -> PathBuf {
        host.socket().with_file_name("pods").join(&self.uid).join("token")
    }
}

/// Writes a file so that a reader meets the old text or the new one, and nothing between.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let written = file.with_extension("new");
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&written, text)?;
    std::fs::rename(&written, file)
}

fn kind(pod: &Pod) -> Option<Kind> {
    let command = pod.spec.as_ref()?.containers.first()?.command.as_ref()?.first()?;
    match command.as_str() {
        "./agent" => Some(Kind::Original),
        "/agent" => Some(Kind::Ours),
        _ => None,
    }
}

/// Of the pods of one node the one whose agent runs there: the latest that is not being deleted.
pub(super) fn latest<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<AgentPod> {
    let living = pods.into_iter().filter_map(|pod| Some((pod.creation_timestamp(), AgentPod::living(pod)?)));
    living.max_by_key(|(created, _)| created.as_ref().map(|time| time.0)).map(|(_, pod)| pod)
}

/// The label of the agents' pods.
pub(super) fn label() -> String {
    format!("{}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT)
}

/// The field that the pods of a node have.
pub(super) fn field(node: &str) -> String {
    format!("spec.nodeName={node}")
}

/// The agents' pods of all nodes.
pub(super) async fn all(client: Client) -> anyhow::Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(client, names::DEFAULT_NAMESPACE);
    Ok(pods.list(&ListParams::default().labels(&label())).await.context("pods of agents")?.items)
}

/// Waits for the pod of a node's agent.
pub(super) async fn on_node(client: Client, node: &str) -> anyhow::Result<AgentPod> {
    let pods: Api<Pod> = Api::namespaced(client, names::DEFAULT_NAMESPACE);
    let agents = ListParams::default().labels(&label()).fields(&field(node));
    eventually(&format!("the agent's pod on {node}"), PATIENCE, async || Ok(latest(&pods.list(&agents).await?.items)))
        .await
}
