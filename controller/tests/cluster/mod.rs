//! Clusters written down in a few lines, turned into the raw objects that the watches would show.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

use std::collections::{BTreeMap, BTreeSet};

use api::{DisruptionRecord, UpdatePolicy, names};
use controller::snapshot::{Objects, Snapshot, WatchedNode, WatchedShadow};
use jiff::Timestamp;
use kube::core::DeserializeGuard;
use serde::Deserialize;
use serde_json::{Value, json};

/// The generation of every policy.
const GENERATION: i64 = 1;

/// A cluster at one instant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cluster {
    /// RFC 3339.
    pub(crate) now: String,
    /// Specs of policies, by name.
    #[serde(default)]
    pub(crate) policies: BTreeMap<String, Value>,
    /// What their statuses know of versions, by the names of the policies.
    #[serde(default)]
    pub(crate) versions: BTreeMap<String, Vec<Value>>,
    /// Under which `versions.after` they were promoted, where that is not the one that their policies have now.
    #[serde(default)]
    pub(crate) promoted_under: BTreeMap<String, Value>,
    /// Policies whose statuses say that planning did not come to an end over the generation they have, or over the one before.
    #[serde(default)]
    pub(crate) exceeded_deadline: BTreeMap<String, Generation>,
    /// Nodes, by name.
    #[serde(default)]
    pub(crate) nodes: BTreeMap<String, NodeLines>,
    /// Specs and statuses of shadows, by the names of their nodes.
    #[serde(default)]
    pub(crate) shadows: BTreeMap<String, ShadowLines>,
    /// Names of nodes whose shadows cannot be written, time and again.
    #[serde(default)]
    pub(crate) stuck: BTreeSet<String>,
}

/// What a verdict was found on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Generation {
    /// What the policy says now.
    Present,
    /// What it said before it was edited.
    Earlier,
}

/// What is not said of a node is as it is on a managed, healthy one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeLines {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) taints: Vec<String>,
    pub(crate) unmanaged: bool,
    pub(crate) not_ready: bool,
    pub(crate) ready_since: Option<String>,
    /// Of further conditions of the Node, by type.
    pub(crate) conditions: BTreeMap<String, String>,
    pub(crate) cordoned: bool,
    pub(crate) agent_silent: bool,
    pub(crate) boot_id: Option<String>,
    pub(crate) record: Option<DisruptionRecord>,
}

/// A shadow; with `owner` it belongs to an earlier Node of the same name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ShadowLines {
    pub(crate) spec: Value,
    pub(crate) status: Option<Value>,
    pub(crate) owner: Option<String>,
}

/// The objects that the watches would show.
pub(crate) struct Raw {
    pub(crate) nodes: Vec<WatchedNode>,
    pub(crate) shadows: Vec<WatchedShadow>,
    pub(crate) policies: Vec<DeserializeGuard<UpdatePolicy>>,
    pub(crate) agents_ready: BTreeSet<String>,
}

impl Raw {
    pub(crate) fn objects(&self) -> Objects<'_> {
        Objects {
            nodes: self.nodes.iter().collect(),
            shadows: self.shadows.iter().collect(),
            policies: self.policies.iter().collect(),
            agents_ready: self.agents_ready.clone(),
        }
    }
}

impl Cluster {
    /// The snapshot that the controller would take of it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let stuck = self.stuck.iter().map(|node| names::shadow_name(node)).collect();
        Snapshot { stuck, ..Snapshot::build(self.now(), &self.raw().objects()) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now.parse().unwrap()
    }

    pub(crate) fn raw(&self) -> Raw {
        let versions = |name: &String| self.versions.get(name).cloned().unwrap_or_default();
        let under = |name: &String, spec| self.promoted_under.get(name).cloned().unwrap_or_else(|| rule_of(spec));
        let status = |name: &String, spec| {
            let versions = versions(name);
            let mut status = if versions.is_empty() {
                Value::Null
            } else {
                json!({"versions": versions, "promotedUnder": under(name, spec)})
            };
            if let Some(generation) = self.exceeded_deadline.get(name) {
                status["conditions"] = json!([exceeded_deadline(*generation)]);
            }
            status
        };
        let policies = self.policies.iter();
        let ready = self.nodes.iter().filter(|(_, lines)| !lines.agent_silent).map(|(name, _)| name.clone());
        Raw {
            nodes: self.nodes.iter().map(|(name, lines)| node(name, lines)).collect(),
            shadows: self.shadows.iter().map(|(name, lines)| shadow(name, lines)).collect(),
            policies: policies.map(|(name, spec)| policy(name, spec, &status(name, spec))).collect(),
            agents_ready: ready.collect(),
        }
    }
}

fn node(name: &str, lines: &NodeLines) -> WatchedNode {
    let mut labels = lines.labels.clone();
    if !lines.unmanaged {
        labels.insert(names::UPDATER_INTERFACE_LABEL.into(), names::UPDATER_INTERFACE_VERSION.into());
    }
    let mut annotations = lines.annotations.clone();
    if let Some(record) = &lines.record {
        annotations.insert(names::DISRUPTION_RECORD_ANNOTATION.into(), record.encode());
    }
    let ready = json!({
        "type": "Ready", "status": if lines.not_ready { "False" } else { "True" }, "lastTransitionTime": lines.ready_since,
    });
    let others = lines.conditions.iter().map(|(kind, status)| json!({"type": kind, "status": status}));
    let conditions: Vec<_> = std::iter::once(ready).chain(others).collect();
    let taints: Vec<_> = lines.taints.iter().map(|key| json!({"key": key, "effect": "NoSchedule"})).collect();
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": labels, "annotations": annotations},
        "spec": {"unschedulable": lines.cordoned, "taints": taints},
        "status": {
            "conditions": conditions,
            "nodeInfo": {
                "bootID": lines.boot_id.as_deref().unwrap_or("boot-1"), "architecture": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "",
                "operatingSystem": "", "osImage": "", "systemUUID": "",
            },
        },
    }))
    .unwrap()
}

fn shadow(node: &str, lines: &ShadowLines) -> WatchedShadow {
    let spec = if lines.spec.is_null() { json!({"state": "Idle"}) } else { lines.spec.clone() };
    let owner = lines.owner.clone().unwrap_or_else(|| format!("uid-{node}"));
    serde_json::from_value(json!({
        "apiVersion": "brupop.bottlerocket.aws/v2",
        "kind": "BottlerocketShadow",
        "metadata": {
            "name": names::shadow_name(node), "uid": format!("uid-brs-{node}"), "resourceVersion": "1",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": owner}],
        },
        "spec": spec,
        "status": lines.status,
    }))
    .unwrap()
}

/// The rule of a spec as a status tells it.
fn rule_of(spec: &Value) -> Value {
    let after = spec["versions"]["after"].as_array().into_iter().flatten();
    let seconds = |soak: &Value| api::duration::parse(soak.as_str().unwrap()).unwrap().as_secs();
    after.map(|step| json!({"policy": step["policy"], "soakSeconds": seconds(&step["soak"])})).collect()
}

/// A condition as a leader leaves it that could not plan any more.
fn exceeded_deadline(generation: Generation) -> Value {
    json!({
        "type": "Accepted", "status": "False", "reason": "PlanningDeadlineExceeded", "message": "",
        "observedGeneration": if generation == Generation::Present { GENERATION } else { GENERATION - 1 },
        "lastTransitionTime": "2026-11-22T01:00:00Z",
    })
}

fn policy(name: &str, spec: &Value, status: &Value) -> DeserializeGuard<UpdatePolicy> {
    serde_json::from_value(json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1",
        "kind": "UpdatePolicy",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "generation": GENERATION},
        "spec": spec,
        "status": status,
    }))
    .unwrap()
}
