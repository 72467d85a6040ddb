//! The files that a node's programs read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use super::NodePrograms;
use super::images::PAUSE;
use super::requirements::Machine;
use crate::controlplane::{Enrolment, address, pod_network};

/// Where Services are; the DNS of the cluster is one of them.
const DNS: &str = "10.96.0.10";
/// Variables of the whole machine that a kubelet wants to have these values, and otherwise sets.
const SYSCTLS: [(&str, &str); 6] = [
    ("vm.overcommit_memory", "1"),
    ("vm.panic_on_oom", "0"),
    ("kernel.panic", "10"),
    ("kernel.panic_on_oops", "1"),
    ("kernel.keys.root_maxkeys", "1000000"),
    ("kernel.keys.root_maxbytes", "25000000"),
];

/// What is written for one node.
pub(super) struct Files<'a> {
    pub(super) number: u8,
    pub(super) folder: &'a Path,
    /// The control group its pods are in.
    pub(super) group: &'a str,
    pub(super) machine: &'a Machine,
    pub(super) programs: &'a NodePrograms,
    pub(super) enrolment: &'a Enrolment,
}

impl Files<'_> {
    pub(super) async fn write(&self) -> anyhow::Result<()> {
        for folder in ["cni", "containerd", "host", "log", "sysctl", "var"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        for (name, value) in SYSCTLS {
            self.put(&format!("sysctl/{name}"), &format!("{value}\n"))?;
        }
        // The cluster's DNS asks nobody else: no name outside of the cluster can be looked up.
        self.put("resolv.conf", "")?;
        self.put("cni/10-pods.conflist", &self.pod_networks().to_string())?;
        self.put("kubelet.json", &self.kubelet().to_string())?;
        self.put("kube-proxy.json", &kube_proxy(&self.enrolment.proxy).to_string())?;
        self.put("spec.json", &self.container().await?.to_string())?;
        self.put("containerd.toml", &self.containerd())
    }

    fn put(&self, name: &str, text: &str) -> anyhow::Result<()> {
        put(&self.folder.join(name), text)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn pod_networks(&self) -> Value {
        json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
            {"type": "ptp", "mtu": 1500, "ipam": {
                "type": "host-local", "dataDir": "/run/pod-addresses", "routes": [{"dst": "0.0.0.0/0"}],
                "ranges": [[{"subnet": pod_network(self.number)}]],
            }},
        ]})
    }

    fn kubelet(&self) -> Value {
        let enrolment = self.enrolment;
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": false}, "webhook": {"enabled": true},
                "x509": {"clientCAFile": enrolment.authority},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{}", self.group), "failCgroupV1": false,
            "clusterDNS": [DNS], "clusterDomain": "cluster.local", "resolvConf": self.path("resolv.conf"),
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            // The disk is the machine's, and what fills it is none of a test's business.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%",
                "nodefs.inodesFree": "0%", "imagefs.inodesFree": "0%"},
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
            "failSwapOn": false,
            // Rather fails than changes the whole machine.
            "protectKernelDefaults": true,
            "tlsCertFile": enrolment.certificate, "tlsPrivateKeyFile": enrolment.key,
        })
    }

    /// The specification that every container begins with: containerd's own, and the hook that shows the node's boot id.
    async fn container(&self) -> anyhow::Result<Value> {
        let ctr = self.programs.containerd.join("ctr");
        let output = Command::new(&ctr).args(["oci", "spec"]).kill_on_drop(true).output().await;
        let output = output.with_context(|| format!("cannot run {}", ctr.display()))?;
        ensure!(output.status.success(), "ctr oci spec: {}", String::from_utf8_lossy(&output.stderr).trim());
        let mut spec: Value = serde_json::from_slice(&output.stdout).context("ctr oci spec")?;
        let hook = self.path("boot-id.sh");
        put(&hook, include_str!("boot-id.sh"))?;
        spec["hooks"] = json!({"createContainer": [
            {"path": "/bin/sh", "args": ["sh", hook, self.path("host/boot_id")], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        ]});
        Ok(spec)
    }

    fn containerd(&self) -> String {
        let text = |path: &Path| format!("{:?}", path.display().to_string());
        format!(
            r#"version = 3
root = {root}
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
pinned_images = {{ sandbox = "{PAUSE}" }}

[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
# Lowering it takes CAP_SYS_RESOURCE, which root does not have everywhere.
restrict_oom_score_adj = true
cni = {{ bin_dirs = [{plugins}], conf_dir = {networks} }}

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = {shim}
base_runtime_spec = {spec}
options = {{ BinaryName = {runc}, SystemdCgroup = false }}
"#,
            root = text(&self.path("containerd")),
            plugins = text(&self.machine.cni),
            networks = text(&self.path("cni")),
            shim = text(&self.programs.containerd.join("containerd-shim-runc-v2")),
            spec = text(&self.path("spec.json")),
            runc = text(&self.machine.runc),
        )
    }

    /// How this node reaches the pods of the others: pairs of a network and the address it is behind.
    pub(super) fn routes(&self, nodes: u8) -> String {
        let others = (1..=nodes).filter(|other| *other != self.number);
        others.map(|other| format!("{} {}", pod_network(other), address(other))).collect::<Vec<_>>().join(" ")
    }
}

/// kube-proxy's configuration. It syncs at once: a Service without endpoints refuses, and a resolver that meets a refusal
/// waits five seconds.
pub(super) fn kube_proxy(kubeconfig: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": kubeconfig}, "clusterCIDR": "10.244.0.0/16",
        "mode": "iptables", "iptables": {"minSyncPeriod": "100ms"},
        // Limits of the whole machine are left alone.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "metricsBindAddress": "127.0.0.1:10249", "nodePortAddresses": ["primary"],
    })
}

/// Writes a file, with its name in the error.
pub(super) fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
