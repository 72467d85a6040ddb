//! What the tests share: one control plane with two replicas of the apiserver, for as long as a test needs it.

use std::path::PathBuf;
use std::time::Duration;

use agent::http::NoAnswer;
use api::{BottlerocketShadow, names};
use e2e::controlplane::{ControlPlane, Shared};
use e2e::fleet::installation::{ONE_ADDRESS, Replica, apply_manifests, get, ready, start_apiserver};
use e2e::fleet::{APISERVER_NAME, Programs};
use http_body_util::Full;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use crate::agent::{Answer, ask};

/// Far longer than anything here takes on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

static SHARED: Shared<Site> = Shared::new();

/// Runs a test on the shared control plane, which ends with the last test that uses it.
pub(crate) fn on_site(test: impl AsyncFnOnce(&Site)) {
    SHARED.run(Site::start, test);
}

pub(crate) struct Site {
    /// The ports of the two replicas.
    pub(crate) replicas: [u16; 2],
    /// The folder with the authority of the replicas' certificate.
    pub(crate) certificates: PathBuf,
    programs: Programs,
    pub(crate) plane: ControlPlane,
}

/// A replica of one test, which has to end with it.
pub(crate) struct Own {
    pub(crate) replica: Replica,
    pub(crate) certificates: PathBuf,
}

impl Own {
    /// Sends a request.
    pub(crate) async fn send(&self, request: http::request::Builder) -> Result<Answer, NoAnswer> {
        let request = request.body(Full::default()).unwrap();
        ask(self.replica.port, self.certificates.join("ca.crt"), request).await
    }

    /// The value of a metric; the line up to it has to be given whole.
    pub(crate) async fn metric(&self, line: &str) -> Option<u64> {
        let text = get(self.replica.metrics_port, "/metrics").await.ok()?;
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.replica.process.kill();
    }
}

impl Site {
    async fn start() -> Self {
        let programs = Programs::build().await.unwrap();
        let plane = ControlPlane::start().await.unwrap();
        apply_manifests(&plane).await.unwrap();
        let certificates = plane.issue_server_certificate("apiserver", &[APISERVER_NAME]).unwrap();
        let account = names::APISERVER_SERVICE_ACCOUNT;
        let kubeconfig = plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await.unwrap();
        let start = |name| {
            start_apiserver(&plane, &programs, name, &certificates, kubeconfig.clone(), "info", ONE_ADDRESS).unwrap()
        };
        let replicas = [start("brupop-apiserver-1"), start("brupop-apiserver-2")];
        for replica in &replicas {
            ready(&replica.process, replica.metrics_port).await.unwrap();
        }
        Self { replicas: replicas.map(|replica| replica.port), certificates, programs, plane }
    }

    /// Starts a replica for one test alone, with a certificate of its own.
    pub(crate) async fn own_replica(&self, name: &str, kubeconfig: PathBuf) -> Own {
        let certificates = self.plane.issue_server_certificate(name, &[APISERVER_NAME]).unwrap();
        let replica = start_apiserver(
            &self.plane,
            &self.programs,
            name,
            &certificates,
            kubeconfig,
            "info,apiserver=debug",
            ONE_ADDRESS,
        );
        let replica = replica.unwrap();
        ready(&replica.process, replica.metrics_port).await.unwrap();
        Own { replica, certificates }
    }

    /// The kubeconfig of the apiserver's own ServiceAccount.
    pub(crate) async fn kubeconfig(&self) -> PathBuf {
        let account = names::APISERVER_SERVICE_ACCOUNT;
        self.plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await.unwrap()
    }

    pub(crate) fn nodes(&self) -> Api<Node> {
        Api::all(self.plane.client())
    }

    pub(crate) fn shadows(&self) -> Api<BottlerocketShadow> {
        Api::namespaced(self.plane.client(), names::DEFAULT_NAMESPACE)
    }

    pub(crate) fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.plane.client(), namespace)
    }

    /// What the apiserver has asked Kubernetes to change, by the audit log, as `verb resource/subresource namespace/name`;
    /// without reviews and without Events, and only what `about` is true of.
    pub(crate) fn writes(&self, about: impl Fn(&str) -> bool) -> Vec<String> {
        let log = std::fs::read_to_string(self.plane.audit_log()).unwrap();
        let account =
            format!("system:serviceaccount:{}:{}", names::DEFAULT_NAMESPACE, names::APISERVER_SERVICE_ACCOUNT);
        // The last line may not be whole.
        let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = entries.filter(|entry| entry["user"]["username"] == *account && entry["stage"] == "ResponseComplete");
        let writes = own.filter(|entry| !["get", "list", "watch"].iter().any(|verb| entry["verb"] == **verb));
        let objects = writes.map(|entry| {
            let text = |field: &str| entry["objectRef"][field].as_str().unwrap_or_default().to_owned();
            let verb = entry["verb"].as_str().unwrap_or_default();
            format!("{verb} {}/{} {}/{}", text("resource"), text("subresource"), text("namespace"), text("name"))
        });
        let others = objects.filter(|write| !write.contains("tokenreviews") && !write.contains("events"));
        others.filter(|write| about(write)).collect()
    }

    /// How many evictions were asked for in a namespace.
    pub(crate) fn evictions(&self, namespace: &str) -> usize {
        self.writes(|write| write.starts_with(&format!("create pods/eviction {namespace}/"))).len()
    }

    /// The Events on a node: reason and note, the oldest first.
    pub(crate) async fn events(&self, node: &str) -> Vec<(String, String)> {
        let events: Api<Event> = Api::namespaced(self.plane.client(), "default");
        let mut events = events.list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(node));
        events.retain(|event| event.reporting_controller.as_deref() == Some(names::APISERVER_FIELD_MANAGER));
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events.into_iter().map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }
}
