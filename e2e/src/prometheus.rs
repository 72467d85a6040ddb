//! A real Prometheus beside a control plane, with a scrape configuration as it is shipped.
//!
//! The distribution's Prometheus is built without discovery in Kubernetes. So pods are found here, as the account that Prometheus
//! would have, and handed to it with the labels that its discovery of pods gives them; what the configuration makes of those, and
//! everything after it, is Prometheus' own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::controlplane::wait::eventually;
use crate::controlplane::{ControlPlane, Process, Program};
use crate::distribution;
use crate::fleet::installation::{free_ports, get, local};

/// Seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the machine's Prometheus is.
///
/// # Errors
/// One sentence that says why there is none.
pub fn available() -> anyhow::Result<PathBuf> {
    distribution::find(&distribution::path(), "prometheus")
        .context("monitoring takes prometheus, which is not in the PATH (Debian's package prometheus)")
}

/// Where the metrics of a pod are on this machine, which has no pod network.
pub type PortOf<'a> = &'a (dyn Fn(&Pod) -> Option<u16> + Sync);

/// A Prometheus, for as long as the control plane runs.
pub struct Prometheus {
    /// Its process.
    pub process: Process,
    port: u16,
}

/// What Prometheus scrapes.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// Why it is not up.
    #[serde(rename = "lastError")]
    pub last_error: String,
}

impl Prometheus {
    /// Starts the program with a scrape configuration, whose pods are those that the account of a kubeconfig may list now.
    ///
    /// # Errors
    /// When the configuration finds anything but pods, the account may not list them, or Prometheus does not accept it (the error
    /// has the end of its log).
    pub async fn start(
        plane: &ControlPlane,
        program: PathBuf,
        configuration: &str,
        kubeconfig: &Path,
        port_of: PortOf<'_>,
    ) -> anyhow::Result<Self> {
        let folder = plane.dir().join("prometheus");
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let file = folder.join("prometheus.yml");
        let (configuration, namespaces) = without_discovery(configuration, &folder.join("pods.json"))?;
        let found = discover(kubeconfig, &namespaces, port_of).await?;
        std::fs::write(folder.join("pods.json"), json!(found).to_string())?;
        std::fs::write(&file, configuration.to_string())?;
        let [port] = free_ports()?;
        let program = Program::new(program)
            .args(["--config.file".into(), file.into_os_string()])
            .args(["--storage.tsdb.path".into(), folder.join("data").into_os_string()])
            .args(["--web.listen-address".to_owned(), local(port)]);
        let process = plane.spawn("prometheus", program)?;
        let ready = async || get(port, "/-/ready").await.map(Some);
        let ready = eventually("prometheus to be ready", PATIENCE, ready).await;
        ready.with_context(|| format!("its log ends with\n{}", process.log_tail(20)))?;
        Ok(Self { process, port })
    }

    /// What it scrapes.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let answer: Value = serde_json::from_str(&get(self.port, "/api/v1/targets?state=active").await?)?;
        Ok(serde_json::from_value(answer["data"]["activeTargets"].clone())?)
    }

    /// The values of an instant query, with their labels.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn query(&self, query: &str) -> anyhow::Result<Vec<(Value, f64)>> {
        let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let answer: Value = serde_json::from_str(&get(self.port, &format!("/api/v1/query?query={query}")).await?)?;
        let results = answer["data"]["result"].as_array().context("no result")?;
        let value = |result: &Value| Some((result["metric"].clone(), result["value"][1].as_str()?.parse().ok()?));
        Ok(results.iter().filter_map(value).collect())
    }
}

/// The configuration with a file of targets in the place of its discovery of pods, and the namespaces that it looks in. JSON is YAML.
fn without_discovery(configuration: &str, file: &Path) -> anyhow::Result<(Value, Vec<String>)> {
    let mut configuration: Value = serde_saphyr::from_str(configuration)?;
    configuration["global"] = json!({"scrape_interval": "1s", "scrape_timeout": "1s"});
    let mut namespaces = Vec::new();
    for job in configuration["scrape_configs"].as_array_mut().into_iter().flatten() {
        let job = job.as_object_mut().context("a job is no mapping")?;
        for discovery in job.remove("kubernetes_sd_configs").as_ref().and_then(Value::as_array).into_iter().flatten() {
            ensure!(discovery["role"] == "pod", "no pods are found by {discovery}");
            let named = discovery["namespaces"]["names"].as_array().context("no namespaces")?;
            namespaces.extend(named.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        job.insert("file_sd_configs".to_owned(), json!([{"files": [file]}]));
    }
    Ok((configuration, namespaces))
}

async fn discover(kubeconfig: &Path, namespaces: &[String], port_of: PortOf<'_>) -> anyhow::Result<Vec<Value>> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let mut found = Vec::new();
    for namespace in namespaces {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let pods = pods.list(&ListParams::default()).await.with_context(|| format!("pods in {namespace}"))?;
        found.extend(pods.items.iter().flat_map(|pod| targets(pod, port_of(pod))));
    }
    Ok(found)
}

/// A target for each port of each container, with the labels of Prometheus' discovery of pods that name it and say where it is.
fn targets(pod: &Pod, metrics: Option<u16>) -> Vec<Value> {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let ports =
        containers.iter().flat_map(|container| container.ports.iter().flatten().map(move |port| (container, port)));
    let target = |(container, port): (&Container, &ContainerPort)| {
        let name = port.name.clone().unwrap_or_default();
        let mut labels: BTreeMap<String, String> = BTreeMap::from([
            ("__meta_kubernetes_namespace".to_owned(), pod.namespace().unwrap_or_default()),
            ("__meta_kubernetes_pod_name".to_owned(), pod.name_any()),
            ("__meta_kubernetes_pod_container_name".to_owned(), container.name.clone()),
            ("__meta_kubernetes_pod_container_port_name".to_owned(), name.clone()),
            ("__meta_kubernetes_pod_container_port_number".to_owned(), port.container_port.to_string()),
        ]);
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        labels.extend(node.map(|node| ("__meta_kubernetes_pod_node_name".to_owned(), node)));
        let meta = |name: &str| format!("__meta_kubernetes_pod_label_{}", name.replace(['.', '/', '-'], "_"));
        labels.extend(pod.labels().iter().map(|(name, value)| (meta(name), value.clone())));
        let address = match (name.as_str(), metrics) {
            ("metrics", Some(port)) => local(port),
            _ => {
                let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
                format!("{address}:{}", port.container_port)
            }
        };
        json!({"targets": [address], "labels": labels})
    };
    ports.map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_the_configuration_stay_as_they_are() {
        let shipped = "scrape_configs:
- kubernetes_sd_configs: [{role: pod, namespaces: {names: [ours]}}]
  relabel_configs: [{action: keep}]
";
        let (adapted, namespaces) = without_discovery(shipped, Path::new("/pods.json")).unwrap();
        assert_eq!(namespaces, ["ours"]);
        let job = json!({"relabel_configs": [{"action": "keep"}], "file_sd_configs": [{"files": ["/pods.json"]}]});
        assert_eq!(adapted["scrape_configs"], json!([job]));
        assert!(without_discovery(&shipped.replace("role: pod", "role: node"), Path::new("/pods.json")).is_err());
    }

    #[test]
    fn each_port_of_a_pod_is_a_target() {
        let pod = json!({
            "metadata": {"name": "a-1", "namespace": "ours", "labels": {"example.com/some-part": "a"}},
            "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [
                {"name": "https", "containerPort": 8443}, {"name": "metrics", "containerPort": 8080}]}]},
            "status": {"podIP": "192.0.2.7"},
        });
        let targets = targets(&serde_json::from_value(pod).unwrap(), Some(1234));
        assert_eq!(targets[0]["targets"], json!(["192.0.2.7:8443"]));
        assert_eq!(targets[1]["targets"], json!(["127.0.0.1:1234"]));
        assert_eq!(targets[1]["labels"]["__meta_kubernetes_pod_label_example_com_some_part"], "a");
        assert_eq!(targets[1]["labels"]["__meta_kubernetes_pod_node_name"], "n");
    }
}
