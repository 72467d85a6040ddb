//! The Node objects of simulated hosts.

use std::collections::BTreeMap;

use anyhow::Context;
use api::names;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use semver::Version;
use serde_json::{Value, json};

use crate::controlplane::{ControlPlane, stages};

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
