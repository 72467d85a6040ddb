//! Clusters of any size, as the API server would show them.

use api::{UpdatePolicy, names};
use controller::snapshot::{WatchedNode, WatchedShadow};
use serde_json::{Value, json};

/// Images on a Node: what a kubelet reports at most by default (`nodeStatusMaxImages`).
const IMAGES: usize = 50;

/// The name of a node.
pub(crate) fn name(number: usize) -> String {
    format!("ip-10-{}-{}-{}.eu-central-1.compute.internal", number / 65_536, number / 256 % 256, number % 256)
}

/// A Node such as a cloud has: labels, annotations, conditions, and an image list with two names for each image.
pub(crate) fn node(number: usize) -> Value {
    let name = name(number);
    let images: Vec<_> = (0..IMAGES).map(|image| image_of(number, image)).collect();
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "reason": "KubeletHasNoProblem", "message": "kubelet reports no problem",
            "lastHeartbeatTime": "2026-11-22T02:00:00Z", "lastTransitionTime": "2026-11-20T02:00:00Z",
        })
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "uid": format!("uid-{name}"), "resourceVersion": (1000 + number).to_string(),
            "creationTimestamp": "2026-11-20T02:00:00Z",
            "labels": {
                names::UPDATER_INTERFACE_LABEL: names::UPDATER_INTERFACE_VERSION,
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": format!("eu-central-1{}", ["a", "b", "c"][number % 3]),
                "topology.kubernetes.io/region": "eu-central-1", "node.kubernetes.io/instance-type": "m7i.2xlarge",
                "eks.amazonaws.com/nodegroup": "workers", "eks.amazonaws.com/capacityType": "ON_DEMAND",
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "csi.volume.kubernetes.io/nodeid": format!("{{\"ebs.csi.aws.com\":\"i-{number:017x}\"}}"),
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
            "managedFields": [{
                "manager": "kubelet", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:status": {"f:images": {}, "f:conditions": {".": {}}, "f:allocatable": {".": {}}}},
            }],
        },
        "spec": {"providerID": format!("aws:///eu-central-1a/i-{number:017x}")},
        "status": {
            "allocatable": {"cpu": "7910m", "memory": "31130Mi", "pods": "58", "ephemeral-storage": "18242267924"},
            "capacity": {"cpu": "8", "memory": "32130Mi", "pods": "58", "ephemeral-storage": "20893676Ki"},
            "conditions": [
                condition("MemoryPressure", "False"), condition("DiskPressure", "False"),
                condition("PIDPressure", "False"), condition("Ready", "True"),
            ],
            "nodeInfo": {
                "bootID": format!("00000000-0000-0000-0000-{number:012x}"), "architecture": "amd64",
                "containerRuntimeVersion": "containerd://2.1.5+bottlerocket", "kernelVersion": "6.12.40",
                "kubeProxyVersion": "v1.36.3", "kubeletVersion": "v1.36.3", "machineID": format!("{number:032x}"),
                "operatingSystem": "linux", "osImage": "Bottlerocket OS 1.50.0 (aws-k8s-1.36)",
                "systemUUID": format!("{number:032x}"),
            },
            "images": images,
        },
    })
}

fn image_of(number: usize, image: usize) -> Value {
    let repository = format!("602401143452.dkr.ecr.eu-central-1.amazonaws.com/team-{}/service-{image}", image % 7);
    json!({
        "names": [
            format!("{repository}@sha256:{:064x}", number * IMAGES + image),
            format!("{repository}:v1.{image}.{}", number % 10),
        ],
        "sizeBytes": 100_000_000 + image,
    })
}

/// The shadow of a node whose agent has reported; every other node is outdated.
pub(crate) fn shadow(number: usize) -> Value {
    let name = name(number);
    let current = if number.is_multiple_of(2) { "1.50.0" } else { "1.51.0" };
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v2", "kind": "BottlerocketShadow",
        "metadata": {
            "name": names::shadow_name(&name), "namespace": names::DEFAULT_NAMESPACE, "uid": format!("uid-brs-{name}"),
            "resourceVersion": (100_000 + number).to_string(),
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": format!("uid-{name}")}],
        },
        "spec": {"state": "Idle"},
        "status": {
            "current_state": "Idle", "current_version": current, "target_version": "1.51.0", "crash_count": 0,
            "agent_version": "0.1.0", "available_versions": ["1.51.0"], "activity": "Idle",
        },
    })
}

/// A policy for all of them.
pub(crate) fn policy(spec: &Value) -> Value {
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
        "metadata": {"name": "default", "uid": "uid-default", "resourceVersion": "1", "generation": 1}, "spec": spec,
    })
}

/// The same objects, as the controller holds them.
pub(crate) struct Objects {
    pub(crate) nodes: Vec<WatchedNode>,
    pub(crate) shadows: Vec<WatchedShadow>,
    pub(crate) policies: Vec<kube::core::DeserializeGuard<UpdatePolicy>>,
}

/// `count` nodes under one policy, as watches hold them.
pub(crate) fn objects(count: usize, spec: &Value) -> anyhow::Result<Objects> {
    let mut nodes = Vec::with_capacity(count);
    let mut shadows = Vec::with_capacity(count);
    for number in 0..count {
        nodes.push(serde_json::from_value(node(number))?);
        shadows.push(serde_json::from_value(shadow(number))?);
    }
    Ok(Objects { nodes, shadows, policies: vec![serde_json::from_value(policy(spec))?] })
}
