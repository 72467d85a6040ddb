//! The control plane, the nodes with their agents' pods and tokens, and one replica.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::apiserver::Apiserver;
use agent::contact::Contact;
use anyhow::{Context, ensure};
use api::names;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use prometheus::Gauge;
use serde_json::json;

use crate::bench::hostile::{From, Server, honest, open_files};
use crate::controlplane::ControlPlane;
use crate::controlplane::wait::eventually;
use crate::fleet::installation::{Replica, apply_manifests, get, ready, start_apiserver};
use crate::fleet::{APISERVER_NAME, Programs};

/// Requests of the preparation under way at a time.
const AT_A_TIME: usize = 24;
const PATIENCE: Duration = Duration::from_secs(300);

/// One agent: the client that real agents use, from an address of its own, and its node.
pub(super) struct Caller {
    pub(super) node: String,
    pub(super) token: String,
    pub(super) apiserver: Apiserver,
    number: u16,
    pod: Pod,
}

/// Everything that is measured on.
pub(super) struct Site {
    pub(super) callers: Vec<Caller>,
    pub(super) replica: Replica,
    pub(super) server: Arc<Server>,
    /// Last, so that it outlives the replica.
    pub(super) plane: ControlPlane,
}

impl Site {
    /// With the apiserver that lies in `ready_made`, or the one of this workspace.
    pub(super) async fn start(agents: usize, ready_made: Option<&Path>) -> anyhow::Result<Self> {
        open_files()?;
        let programs = match ready_made {
            Some(folder) => Programs::ready_made(folder, "apiserver")?,
            None => Programs::build_only("apiserver").await?,
        };
        let plane = ControlPlane::start().await?;
        apply_manifests(&plane).await?;
        println!("{agents} nodes, and an agent's pod on each");
        let nodes: Vec<_> = (1..=agents).map(|number| format!("node-{number}")).collect();
        each(&nodes, async |node| create_node(&plane, node).await).await?;
        let pods = pods(&plane, agents).await?;
        let certificates = plane.issue_server_certificate("apiserver", &[APISERVER_NAME])?;
        let account = names::APISERVER_SERVICE_ACCOUNT;
        let kubeconfig = plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await?;
        // What is logged for each request is not part of what is measured.
        let name = "brupop-apiserver";
        let replica = start_apiserver(&plane, &programs, name, &certificates, kubeconfig, "warn", &[])?;
        ready(&replica.process, replica.metrics_port).await?;
        let server = Server::new(replica.port, APISERVER_NAME, &certificates.join("ca.crt"))?;
        let mut site = Self { callers: Vec::new(), replica, server: Arc::new(server), plane };
        let numbered: Vec<_> = (1..).zip(pods).collect();
        site.callers = each(&numbered, async |(number, pod)| site.enrol(*number, pod).await).await?;
        Ok(site)
    }

    async fn enrol(&self, number: u16, pod: &Pod) -> anyhow::Result<Caller> {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).context("a pod on no node")?;
        let (token, apiserver) = self.agent(number, &node, pod).await?;
        let created = apiserver.create().await?;
        ensure!(created.name_any() == names::shadow_name(&node), "another node's shadow");
        Ok(Caller { node, token, apiserver, number, pod: pod.clone() })
    }

    /// The client of an agent whose token was issued a moment ago.
    pub(super) async fn with_a_new_token(&self, caller: &Caller) -> anyhow::Result<Apiserver> {
        Ok(self.agent(caller.number, &caller.node, &caller.pod).await?.1)
    }

    async fn agent(&self, number: u16, node: &str, pod: &Pod) -> anyhow::Result<(String, Apiserver)> {
        let (plane, account, name) = (&self.plane, names::AGENT_SERVICE_ACCOUNT, pod.name_any());
        let uid = pod.uid().context("a pod without a uid")?;
        let token = plane.token_for_pod(names::DEFAULT_NAMESPACE, account, &name, &uid, names::TOKEN_AUDIENCE).await?;
        let token_file = plane.dir().join(format!("{node}.{}.token", fastrand::u64(..)));
        std::fs::write(&token_file, &token)?;
        let dial = From { server: self.server.clone(), address: honest(number) };
        let contact = Contact::new(Gauge::new("contact", "Of one agent.")?);
        let apiserver = Apiserver::new(Arc::new(dial), APISERVER_NAME.to_owned(), node.to_owned(), token_file, contact);
        Ok((token, apiserver))
    }

    /// The sum of a metric's series.
    pub(super) async fn metric(&self, name: &str) -> anyhow::Result<u64> {
        let text = eventually("the metrics", Duration::from_secs(30), async || {
            Ok(Some(get(self.replica.metrics_port, "/metrics").await?))
        });
        Ok(sum(&text.await?, name))
    }

    /// The replica's resident memory in bytes.
    pub(super) fn resident(&self) -> anyhow::Result<u64> {
        self.replica.process.resident_bytes().context("the apiserver has ended")
    }
}

/// Calls `make` for every item, a bounded number at a time.
pub(super) async fn each<T, U>(items: &[T], make: impl AsyncFn(&T) -> anyhow::Result<U>) -> anyhow::Result<Vec<U>> {
    let make = &make;
    stream::iter(items).map(|item| async move { make(item).await }).buffer_unordered(AT_A_TIME).try_collect().await
}

async fn create_node(plane: &ControlPlane, name: &str) -> anyhow::Result<()> {
    let labels = BTreeMap::from([
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        (names::UPDATER_INTERFACE_LABEL, names::UPDATER_INTERFACE_VERSION),
    ]);
    let node: Node = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
    Api::all(plane.client()).create(&PostParams::default(), &node).await?;
    Ok(())
}

async fn pods(plane: &ControlPlane, count: usize) -> anyhow::Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(plane.client(), names::DEFAULT_NAMESPACE);
    let agents = ListParams::default().labels(&format!("{}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT));
    eventually("every agent's pod to run", PATIENCE, async || {
        let all = pods.list(&agents).await?.items;
        let running = |pod: &&Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        Ok((all.iter().filter(running).count() == count).then_some(all))
    })
    .await
}

fn sum(text: &str, name: &str) -> u64 {
    let series = text.lines().filter_map(|line| line.strip_prefix(name));
    let values = series.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit(' ').next());
    values.filter_map(|value| value.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_metric_are_added() {
        let text = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\na_total 7\nab 9\n";
        assert_eq!((sum(text, "a"), sum(text, "a_total"), sum(text, "c")), (5, 7, 0));
    }
}
