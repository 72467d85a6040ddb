//! Drains: how soon freed room in a budget is used, and what goes on when nobody asks any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agent::outcome::Drained;
use anyhow::{Context, ensure};
use api::names;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::original;
use super::site::{Caller, Site, each};
use crate::controlplane::stages;
use crate::controlplane::wait::eventually;

/// Pods on a node that is drained.
pub(super) const PODS: usize = 20;
/// How long each of them takes to end.
pub(super) const ENDING: &str = "5s";
/// Callers that go away.
pub(super) const CALLERS: usize = 20;
/// For how long it is counted what goes on after them, once what was under way is over.
pub(super) const AFTERWARDS: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(180);

/// Ours and the original's.
#[derive(Clone, Copy)]
pub(super) struct Both<T> {
    pub(super) ours: T,
    pub(super) original: T,
}

/// From the room in the budget to the last pod's eviction.
pub(super) async fn freed_budget(site: &Site) -> anyhow::Result<Both<Duration>> {
    let [one, other] = [&site.callers[0], &site.callers[1]];
    let work = Workload::on(site, &one.node).await?;
    approve(site, &one.node).await?;
    let (drained, ours) = tokio::join!(drained(one), async {
        work.asked_for(site).await?;
        work.freed().await
    });
    drained?;
    let work = Workload::on(site, &other.node).await?;
    let client = site.plane.client();
    let (drained, original) = tokio::join!(original::drain(&client, &other.node, || {}), async {
        // As long as ours had been waiting, and in the middle of a pause as often as not.
        sleep(Duration::from_secs(8)).await;
        work.freed().await
    });
    drained?;
    Ok(Both { ours: ours?, original: original? })
}

async fn drained(caller: &Caller) -> anyhow::Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        match caller.apiserver.drain(60).await? {
            Drained::Done => return Ok(()),
            Drained::Progress(_) => {}
            other => anyhow::bail!("the drain ends: {other:?}"),
        }
    }
    anyhow::bail!("the drain does not end")
}

/// How many evictions are asked for after the last of the callers is gone.
pub(super) async fn abandoned(site: &Site) -> anyhow::Result<Both<u64>> {
    let [one, other] = [&site.callers[2], &site.callers[3]];
    let work = Workload::on(site, &one.node).await?;
    approve(site, &one.node).await?;
    let mut callers = JoinSet::new();
    // One node may have sixteen in flight on a replica; the rest are refused.
    for _ in 0..CALLERS {
        let apiserver = one.apiserver.clone();
        callers.spawn(async move { apiserver.drain(250).await });
    }
    work.asked_for(site).await?;
    callers.shutdown().await;
    sleep(Duration::from_secs(1)).await;
    let count = async || site.metric("brupop_apiserver_evictions_total").await;
    let before = count().await?;
    sleep(AFTERWARDS).await;
    let ours = count().await? - before;

    Workload::on(site, &other.node).await?;
    let asked = Arc::new(AtomicU64::new(0));
    let mut behind = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, node, asked) = (site.plane.client(), other.node.clone(), asked.clone());
        behind.spawn(async move {
            original::drain(&client, &node, || {
                asked.fetch_add(1, Ordering::Relaxed);
            })
            .await
        });
    }
    sleep(Duration::from_secs(6)).await;
    let before = asked.load(Ordering::Relaxed);
    sleep(AFTERWARDS).await;
    Ok(Both { ours, original: asked.load(Ordering::Relaxed) - before })
}

async fn approve(site: &Site, node: &str) -> anyhow::Result<()> {
    let now = runtime::clock::now();
    let spec = json!({
        "state": "RebootedIntoUpdate", "version": "1.51.0", "policy": "default",
        "state_transition_timestamp": now.to_string(),
        "disrupt_not_after": (now + SignedDuration::from_mins(9)).to_string(),
    });
    let shadows: Api<api::BottlerocketShadow> = Api::namespaced(site.plane.client(), names::DEFAULT_NAMESPACE);
    let patch = Patch::Merge(json!({ "spec": spec }));
    shadows.patch(&names::shadow_name(node), &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Pods on one node, in a namespace of its name, all of them held by one budget.
struct Workload {
    pods: Api<Pod>,
    budgets: Api<PodDisruptionBudget>,
}

impl Workload {
    async fn on(site: &Site, node: &str) -> anyhow::Result<Self> {
        let client = site.plane.client();
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": node}}))?;
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), node);
        eventually("the namespace to be furnished", PATIENCE, async || Ok(accounts.get_opt("default").await?)).await?;
        let work = Self { pods: Api::namespaced(client.clone(), node), budgets: Api::namespaced(client, node) };
        let numbers: Vec<_> = (0..PODS).collect();
        each(&numbers, async |number| work.pod(node, *number).await).await?;
        let budget: PodDisruptionBudget = serde_json::from_value(json!({
            "metadata": {"name": "held"},
            "spec": {"minAvailable": PODS, "selector": {"matchLabels": {"app": "held"}}},
        }))?;
        work.budgets.create(&PostParams::default(), &budget).await?;
        work.budget("every pod to be counted", |healthy, _| usize::try_from(healthy) == Ok(PODS)).await?;
        Ok(work)
    }

    async fn pod(&self, node: &str, number: usize) -> anyhow::Result<()> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": format!("held-{number}"), "labels": {"app": "held"},
                "annotations": { stages::TERMINATION: ENDING },
            },
            "spec": {
                "nodeName": node, "terminationGracePeriodSeconds": 30,
                "containers": [{"name": "held", "image": "example.invalid/held"}],
            },
        }))?;
        self.pods.create(&PostParams::default(), &pod).await?;
        Ok(())
    }

    async fn budget(&self, what: &str, is_met: impl Fn(i32, i32) -> bool) -> anyhow::Result<()> {
        eventually(what, PATIENCE, async || {
            let status = self.budgets.get("held").await?.status.context("not counted")?;
            let allowed = status.disruptions_allowed.unwrap_or(0);
            Ok(is_met(status.current_healthy.unwrap_or(-1), allowed).then_some(()))
        })
        .await
    }

    /// Waits until every pod was asked for several times, so that the pauses between the tries are long.
    async fn asked_for(&self, site: &Site) -> anyhow::Result<()> {
        let count = async || site.metric("brupop_apiserver_evictions_total").await;
        let before = count().await?;
        let enough = u64::try_from(4 * PODS)?;
        eventually(
            "every pod to be asked for",
            PATIENCE,
            async || Ok((count().await? >= before + enough).then_some(())),
        )
        .await
    }

    /// Makes room, and returns how long it took from then until every pod was on its way out.
    async fn freed(&self) -> anyhow::Result<Duration> {
        let patch = Patch::Merge(json!({"spec": {"minAvailable": 0}}));
        self.budgets.patch("held", &PatchParams::default(), &patch).await?;
        self.budget("the budget to have room", |_, allowed| allowed > 0).await?;
        let begin = Instant::now();
        eventually("every pod to be on its way out", PATIENCE, async || {
            let pods = self.pods.list(&ListParams::default()).await?.items;
            Ok(pods.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()).then_some(()))
        })
        .await?;
        let taken = begin.elapsed();
        ensure!(taken < PATIENCE, "too long to tell");
        Ok(taken)
    }
}
