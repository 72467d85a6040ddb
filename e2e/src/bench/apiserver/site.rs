//! The control plane, the nodes with their agents' pods and tokens, and one replica.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::apiserver::{Apiserver, TlsDial};
use agent::contact::Contact;
use anyhow::{Context, ensure};
use api::names;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use prometheus::Gauge;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::controlplane::ControlPlane;
use crate::controlplane::wait::eventually;
use crate::fleet::installation::{Replica, apply_manifests, get, ready, start_apiserver};
use crate::fleet::{APISERVER_NAME, Programs};

/// Requests of the preparation under way at a time.
const AT_A_TIME: usize = 24;
const PATIENCE: Duration = Duration::from_secs(300);

/// One agent: the client that real agents use, and its node.
pub(super) struct Caller {
    pub(super) node: String,
    pub(super) token: String,
    pub(super) apiserver: Apiserver,
}

/// Everything that is measured on.
pub(super) struct Site {
    pub(super) callers: Vec<Caller>,
    pub(super) replica: Replica,
    /// Last, so that it outlives the replica.
    pub(super) plane: ControlPlane,
}

impl Site {
    pub(super) async fn start(agents: usize) -> anyhow::Result<Self> {
        open_files()?;
        let programs = Programs::build_only("apiserver").await?;
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
        let replica = start_apiserver(&plane, &programs, "brupop-apiserver", &certificates, kubeconfig, "warn")?;
        ready(&replica.process, replica.metrics_port).await?;
        let ca_file = certificates.join("ca.crt");
        let callers = each(&pods, async |pod| caller(&plane, replica.port, &ca_file, pod).await).await?;
        Ok(Self { callers, replica, plane })
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

/// As many as the system lets us have: every agent is a connection of this process, and one of the replica's.
fn open_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, all).context("cannot raise the limit of open files")
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

async fn caller(plane: &ControlPlane, port: u16, ca_file: &Path, pod: &Pod) -> anyhow::Result<Caller> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).context("a pod on no node")?;
    let (account, name) = (names::AGENT_SERVICE_ACCOUNT, pod.name_any());
    let uid = pod.uid().context("a pod without a uid")?;
    let token = plane.token_for_pod(names::DEFAULT_NAMESPACE, account, &name, &uid, names::TOKEN_AUDIENCE).await?;
    let token_file: PathBuf = plane.dir().join(format!("{node}.token"));
    std::fs::write(&token_file, &token)?;
    let dial = TlsDial::new("127.0.0.1".to_owned(), port, APISERVER_NAME, ca_file.to_owned())?;
    let contact = Contact::new(Gauge::new("contact", "Of one agent.")?);
    let apiserver = Apiserver::new(Arc::new(dial), APISERVER_NAME.to_owned(), node.clone(), token_file, contact);
    let created = apiserver.create().await?;
    ensure!(created.name_any() == names::shadow_name(&node), "another node's shadow");
    Ok(Caller { node, token, apiserver })
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
