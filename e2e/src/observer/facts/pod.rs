//! A Pod as the rules read it.

use std::collections::BTreeMap;

use api::names::{AGENT_COMPONENT, COMPONENT_LABEL};
use k8s_openapi::api::core::v1::Pod;

use super::version;

/// The annotation by which a kubelet marks the mirror of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// A Pod.
#[derive(Debug, Clone)]
pub struct PodFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The node it is on.
    pub node: Option<String>,
    /// Whether it runs.
    pub running: bool,
    /// Whether its containers have ended for good.
    pub finished: bool,
    /// Whether it is Ready.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Whether it mirrors a static pod or a DaemonSet controls it: no drain waits for it.
    pub stays: bool,
    /// Why Kubernetes says it is disrupted, as in `EvictionByEvictionAPI`.
    pub disrupted: Option<String>,
}

impl PodFacts {
    /// The component of the operator that it is, if it carries that label.
    #[must_use]
    pub fn component(&self) -> Option<&str> {
        self.labels.get(COMPONENT_LABEL).map(String::as_str)
    }

    /// Whether it is an agent.
    #[must_use]
    pub fn is_agent(&self) -> bool {
        self.component() == Some(AGENT_COMPONENT)
    }

    /// Whether a drain has to get rid of it.
    #[must_use]
    pub const fn must_go(&self) -> bool {
        !self.stays && !self.finished
    }

    /// `namespace/name`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl From<&Pod> for PodFacts {
    fn from(pod: &Pod) -> Self {
        let meta = &pod.metadata;
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let holds = |name| conditions.iter().find(move |one| one.type_ == name && one.status == "True");
        let controller = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let mirror = meta.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR_ANNOTATION));
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            version: version(meta),
            labels: meta.labels.clone().unwrap_or_default(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            running: phase == Some("Running"),
            finished: matches!(phase, Some("Succeeded" | "Failed")),
            ready: holds("Ready").is_some(),
            terminating: meta.deletion_timestamp.is_some(),
            stays: mirror || controller.is_some_and(|owner| owner.kind == "DaemonSet"),
            disrupted: holds("DisruptionTarget").map(|one| one.reason.clone().unwrap_or_default()),
        }
    }
}
