//! Pods to drain, and budgets that hold them.

use std::time::Duration;

use e2e::controlplane::wait::eventually;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::site::PATIENCE;

/// Pods of one test, in a namespace of their own.
pub(crate) struct Workload<'a> {
    agent: &'a Agent<'a>,
    /// Named as the node.
    pub(crate) namespace: String,
}

impl<'a> Workload<'a> {
    /// A namespace for pods on the agent's node.
    pub(crate) async fn new(agent: &'a Agent<'a>) -> Self {
        let namespace = agent.node.clone();
        agent.site.plane.kubectl(["create", "namespace", namespace.as_str()]).await.unwrap();
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
            Api::namespaced(agent.site.plane.client(), &namespace);
        eventually("the namespace to be furnished", PATIENCE, async || Ok(accounts.get_opt("default").await?))
            .await
            .unwrap();
        Self { agent, namespace }
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        self.agent.site.pods(&self.namespace)
    }

    /// Starts `count` pods with the label `app`, and waits until they are ready. `metadata` is merged into theirs.
    pub(crate) async fn run(&self, app: &str, count: usize, metadata: &Value) {
        for number in 0..count {
            let mut pod = json!({
                "metadata": {"name": format!("{app}-{number}"), "labels": {"app": app}},
                "spec": {
                    "nodeName": self.agent.node, "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": app, "image": "example.invalid/app"}],
                },
            });
            for (field, value) in metadata.as_object().unwrap() {
                pod["metadata"][field] = value.clone();
            }
            let pod: Pod = serde_json::from_value(pod).unwrap();
            self.pods().create(&PostParams::default(), &pod).await.unwrap();
        }
        let selected = ListParams::default().labels(&format!("app={app}"));
        eventually("the pods to be ready", PATIENCE, async || {
            let pods = self.pods().list(&selected).await?;
            let phase = |pod: &&Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
            Ok((pods.items.iter().filter(phase).count() == count).then_some(()))
        })
        .await
        .unwrap();
    }

    /// A budget that lets none of the `count` pods with the label `app` go.
    pub(crate) async fn block(&self, app: &str, count: usize) {
        let budget: PodDisruptionBudget = serde_json::from_value(json!({
            "metadata": {"name": app},
            "spec": {"minAvailable": count, "selector": {"matchLabels": {"app": app}}},
        }))
        .unwrap();
        self.budgets().create(&PostParams::default(), &budget).await.unwrap();
        self.counted(app, "the budget to be counted", |healthy, _| usize::try_from(healthy).unwrap() == count).await;
    }

    /// Makes room in a budget.
    pub(crate) async fn free(&self, app: &str) {
        let patch = Patch::Merge(json!({"spec": {"minAvailable": 0}}));
        self.budgets().patch(app, &PatchParams::default(), &patch).await.unwrap();
        self.counted(app, "the budget to have room", |_, allowed| allowed > 0).await;
    }

    async fn counted(&self, app: &str, what: &str, is_met: impl Fn(i32, i32) -> bool) {
        eventually(what, PATIENCE, async || {
            let status = self.budgets().get(app).await?.status.unwrap_or_default();
            let (healthy, allowed) = (status.current_healthy.unwrap_or(-1), status.disruptions_allowed.unwrap_or(-1));
            Ok((healthy >= 0 && is_met(healthy, allowed)).then_some(()))
        })
        .await
        .unwrap();
    }

    fn budgets(&self) -> Api<PodDisruptionBudget> {
        Api::namespaced(self.agent.site.plane.client(), &self.namespace)
    }

    /// The names of the pods that are there and not on their way out.
    pub(crate) async fn left(&self) -> Vec<String> {
        let pods = self.pods().list(&ListParams::default()).await.unwrap().items;
        pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(ResourceExt::name_any).collect()
    }

    /// Waits until `count` pods are left.
    pub(crate) async fn until_left(&self, count: usize, patience: Duration) {
        let what = format!("{count} pods to be left");
        eventually(&what, patience, async || Ok((self.left().await.len() == count).then_some(()))).await.unwrap();
    }
}
