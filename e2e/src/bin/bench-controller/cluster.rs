//! On a real control plane: from an edit to the first write, and what an idle controller asks for.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::{BottlerocketShadow, State, UpdatePolicy, names};
use e2e::controlplane::wait::eventually;
use e2e::controlplane::{ControlPlane, Process, Program};
use e2e::fleet::Programs;
use e2e::fleet::installation::{free_ports, is_ready};
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::fleet;
use crate::memory::ticks;

const NODES: usize = 20;
const RUNS: usize = 11;
const PATIENCE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(60);

pub(crate) async fn print() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(site.edit_and_await_write().await?);
        site.rest().await?;
    }
    times.sort();
    println!("\npolicy edit to first write on a real kube-apiserver, {NODES} nodes, {RUNS} edits");
    println!(
        "  median {:?}, slowest {:?}; the original's first action 10.7 s after start",
        times[RUNS / 2],
        times[RUNS - 1]
    );
    site.idle().await
}

struct Site {
    policies: Api<UpdatePolicy>,
    shadows: Api<BottlerocketShadow>,
    controller: Process,
    plane: ControlPlane,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let plane = ControlPlane::start().await?;
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        for part in ["namespace/namespace.yaml", "crd", "rbac"] {
            plane.apply_path(&config.join(part)).await?;
        }
        plane.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]).await?;
        let shadows = Api::namespaced(plane.client(), names::DEFAULT_NAMESPACE);
        for number in 0..NODES {
            create(&plane, &shadows, number).await?;
        }
        let policy = fleet::policy(&json!({"nodeSelector": {}, "paused": true}));
        let policy: UpdatePolicy = serde_json::from_value(without_versions(policy))?;
        let policies: Api<UpdatePolicy> = Api::all(plane.client());
        policies.create(&PostParams::default(), &policy).await?;
        let account = names::CONTROLLER_SERVICE_ACCOUNT;
        let [metrics] = free_ports()?;
        let program = Program::new(Programs::build_only("controller").await?.path("controller")?)
            .args(["--metrics-listen".to_owned(), format!("127.0.0.1:{metrics}")])
            .env("KUBECONFIG", plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await?);
        let controller = plane.spawn("brupop-controller", program)?;
        eventually("the controller to be ready", PATIENCE, async || Ok(is_ready(metrics).await.then_some(()))).await?;
        let site = Self { policies, shadows, controller, plane };
        site.rest().await?;
        Ok(site)
    }

    async fn edit_and_await_write(&self) -> anyhow::Result<Duration> {
        let watch = self.shadows.watch(&WatchParams::default(), "0").await?;
        let mut watch = std::pin::pin!(watch);
        let began = Instant::now();
        self.edit(json!({"paused": false})).await?;
        let write = async {
            while let Some(event) = watch.try_next().await? {
                if let WatchEvent::Modified(shadow) = event
                    && shadow.spec.state == State::StagedAndPerformedUpdate
                {
                    return Ok(began.elapsed());
                }
            }
            anyhow::bail!("the watch has ended")
        };
        timeout(PATIENCE, write).await.context("no write")?
    }

    async fn edit(&self, spec: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.policies.patch("default", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Pauses, gives every node back, and waits until the controller has said so.
    async fn rest(&self) -> anyhow::Result<()> {
        self.edit(json!({"paused": true})).await?;
        let idle = json!({"state": "Idle", "version": null, "policy": null, "state_transition_timestamp": null, "drain": null});
        for shadow in self.shadows.list(&kube::api::ListParams::default()).await? {
            let patch = Patch::Merge(json!({"spec": idle}));
            self.shadows.patch(&shadow.name_any(), &PatchParams::default(), &patch).await?;
        }
        eventually("every outdated node to be held by the pause", PATIENCE, async || {
            let status = self.policies.get("default").await?.status.unwrap_or_default();
            let nodes = status.nodes.unwrap_or_default();
            Ok((usize::try_from(nodes.held)? == NODES / 2).then_some(()))
        })
        .await?;
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    async fn idle(&self) -> anyhow::Result<()> {
        sleep(Duration::from_secs(5)).await;
        let before = (self.requests()?, ticks(self.controller.pid())?);
        sleep(IDLE).await;
        let after = (self.requests()?, ticks(self.controller.pid())?);
        let new: Vec<_> = after.0.iter().skip(before.0.len()).collect();
        println!("\nidle for {} s on the same control plane", IDLE.as_secs());
        println!("  {} requests beside renewals of the Lease; {:.0} ms of CPU", new.len(), (after.1 - before.1) * 10.0);
        for uri in new {
            println!("    {uri}");
        }
        println!("  the original 51 ms of CPU per second");
        Ok(())
    }

    /// The URIs of the controller's requests so far, beside those for its Lease.
    fn requests(&self) -> anyhow::Result<Vec<String>> {
        let account = names::CONTROLLER_SERVICE_ACCOUNT;
        let user = format!("system:serviceaccount:{}:{account}", names::DEFAULT_NAMESPACE);
        let log = std::fs::read_to_string(self.plane.audit_log())?;
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        // A watch is logged when it begins and when it ends: each request counts once.
        let ours = events.filter(|event| event["user"]["username"] == user && event["stage"] == "ResponseComplete");
        let uris = ours.filter_map(|event| event["requestURI"].as_str().map(str::to_owned));
        Ok(uris.filter(|uri| !uri.contains("/leases")).collect())
    }
}

/// A Node and the shadow of an original agent on it, which needs no pod to be heard from.
async fn create(plane: &ControlPlane, shadows: &Api<BottlerocketShadow>, number: usize) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(plane.client());
    let node: Node = serde_json::from_value(without_versions(fleet::node(number)))?;
    let node = nodes.create(&PostParams::default(), &node).await?;
    let mut shadow = without_versions(fleet::shadow(number));
    shadow["metadata"]["ownerReferences"][0]["uid"] = json!(node.uid());
    let status = shadow["status"].take();
    let shadow: BottlerocketShadow = serde_json::from_value(shadow)?;
    shadows.create(&PostParams::default(), &shadow).await?;
    let mut status = status;
    status["agent_version"] = Value::Null;
    let patch = Patch::Merge(json!({"status": status}));
    shadows.patch_status(&shadow.name_any(), &PatchParams::default(), &patch).await?;
    Ok(())
}

/// An object as it is created: what the API server sets is left to it.
fn without_versions(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "managedFields", "creationTimestamp"] {
            metadata.remove(field);
        }
    }
    object
}
