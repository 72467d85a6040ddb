//! The Node objects of simulated hosts.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use api::names;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use semver::Version;
use serde_json::{Value, json};

use crate::controlplane::wait::until;
use crate::controlplane::{ControlPlane, stages};
use crate::host::Host;

/// How long the API server has to remove a Node.
const PATIENCE: Duration = Duration::from_secs(30);

/// Creates the Node of a host that is up.
pub(super) async fn create(
    plane: &ControlPlane,
    name: &str,
    labels: &BTreeMap<String, String>,
    boot_id: &str,
    version: &Version,
) -> anyhow::Result<()> {
    let mut labels = labels.clone();
    labels.insert("kubernetes.io/hostname".into(), name.into());
    labels.insert("kubernetes.io/os".into(), "linux".into());
    labels.insert("kubernetes.io/arch".into(), "amd64".into());
    labels.insert(names::UPDATER_INTERFACE_LABEL.into(), names::UPDATER_INTERFACE_VERSION.into());
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels, "annotations": facts(boot_id, version)},
    }))?;
    let nodes: Api<Node> = Api::all(plane.client());
    nodes.create(&PostParams::default(), &node).await.with_context(|| format!("cannot create node {name}"))?;
    Ok(())
}

/// Deletes the Node of a host that is up, and creates it anew with what its kubelet puts on it.
pub(super) async fn register_anew(plane: &ControlPlane, host: &Host) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(plane.client());
    let name = host.name();
    let mut labels = nodes.get(name).await.with_context(|| format!("node {name}"))?.labels().clone();
    labels.remove(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL);
    nodes.delete(name, &DeleteParams::default()).await.with_context(|| format!("cannot delete node {name}"))?;
    until(&nodes, name, "the node to be gone", PATIENCE, |node: Option<&Node>| node.is_none()).await?;
    let state = host.state();
    create(plane, name, &labels, &state.boot_id, &state.version).await
}

/// The Node of a host that went down.
pub(super) fn down() -> Value {
    json!({ stages::POWER: "off" })
}

/// The Node of a host that came up.
pub(super) fn up(boot_id: &str, version: &Version) -> Value {
    let mut annotations = facts(boot_id, version);
    annotations[stages::POWER] = Value::Null;
    annotations
}

fn facts(boot_id: &str, version: &Version) -> Value {
    json!({
        stages::BOOT_ID: boot_id.trim(),
        stages::OS_IMAGE: format!("Bottlerocket OS {version} (aws-k8s-1.36)"),
    })
}

/// Sets annotations of an object of any kind.
pub(super) async fn annotate<K>(objects: &Api<K>, name: &str, annotations: Value) -> anyhow::Result<()>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    objects.patch(name, &PatchParams::default(), &patch).await.with_context(|| format!("cannot annotate {name}"))?;
    Ok(())
}
