//! How each server is started.

use std::path::Path;

use super::folder::Folder;
use super::underlay::{API_PORT, CONTROL_PLANE};

/// The loopback ports of a control plane. The scheduler and the controller manager listen nowhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) etcd: u16,
    pub(super) etcd_peer: u16,
    pub(super) apiserver: u16,
}

impl Ports {
    /// In a network of the control plane's own, where none is ever taken.
    pub(super) const OWN_NETWORK: Self = Self { etcd: 2379, etcd_peer: 2380, apiserver: API_PORT };

    pub(super) fn apiserver_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.apiserver)
    }

    fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd)
    }
}

/// What the controller manager may write with: far above its default of 20 requests a second, so that tests do not wait for it.
const QPS: [&str; 2] = ["--kube-api-qps=500", "--kube-api-burst=1000"];

pub(super) fn etcd(folder: &Folder, ports: &Ports) -> Vec<String> {
    let client = ports.etcd_url();
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    vec![
        path("--data-dir", &folder.etcd_data()),
        // Nothing here survives a crash of the machine anyway.
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ]
}

/// With nodes that are simulated.
pub(super) fn apiserver(folder: &Folder, ports: &Ports) -> Vec<String> {
    let mut flags = common_apiserver(folder, ports);
    flags.extend([
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        // A loopback address is no valid endpoint of the `kubernetes` Service.
        "--endpoint-reconciler-type=none".into(),
    ]);
    flags
}

/// In a network of its own, with nodes that are real.
pub(super) fn apiserver_for_real_nodes(folder: &Folder, ports: &Ports) -> Vec<String> {
    let pki = |name: &str| folder.pki().join(name);
    let mut flags = common_apiserver(folder, ports);
    flags.extend([
        "--bind-address=0.0.0.0".into(),
        format!("--advertise-address={CONTROL_PLANE}"),
        path("--kubelet-client-certificate", &pki("kubelet-client.crt")),
        path("--kubelet-client-key", &pki("kubelet-client.key")),
        path("--kubelet-certificate-authority", &pki("ca.crt")),
        "--kubelet-preferred-address-types=InternalIP".into(),
    ]);
    flags
}

fn common_apiserver(folder: &Folder, ports: &Ports) -> Vec<String> {
    let pki = |name: &str| folder.pki().join(name);
    vec![
        format!("--etcd-servers={}", ports.etcd_url()),
        format!("--secure-port={}", ports.apiserver),
        path("--tls-cert-file", &pki("apiserver.crt")),
        path("--tls-private-key-file", &pki("apiserver.key")),
        path("--client-ca-file", &pki("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        "--api-audiences=https://kubernetes.default.svc".into(),
        path("--service-account-signing-key-file", &pki("sa.key")),
        path("--service-account-key-file", &pki("sa.pub")),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        // The agents' DaemonSet mounts the host's socket.
        "--allow-privileged=true".into(),
        path("--audit-policy-file", &folder.audit_policy()),
        path("--audit-log-path", &folder.audit_log()),
    ]
}

pub(super) fn controller_manager(folder: &Folder) -> Vec<String> {
    let mut flags = vec![
        path("--kubeconfig", &folder.kubeconfig("kube-controller-manager")),
        path("--service-account-private-key-file", &folder.pki().join("sa.key")),
        path("--root-ca-file", &folder.pki().join("ca.crt")),
        "--use-service-account-credentials".into(),
        "--leader-elect=false".into(),
        "--secure-port=0".into(),
        "--controllers=*,-nodeipam,-node-route-controller,-cloud-node-lifecycle-controller".into(),
        // How soon the taints follow a host that goes off or comes back; the default of 5 s would be most of a test.
        "--node-monitor-period=1s".into(),
    ];
    flags.extend(QPS.map(String::from));
    flags
}

pub(super) fn scheduler(folder: &Folder) -> Vec<String> {
    let mut flags = vec![
        path("--kubeconfig", &folder.kubeconfig("kube-scheduler")),
        "--leader-elect=false".into(),
        "--secure-port=0".into(),
    ];
    flags.extend(QPS.map(String::from));
    flags
}

pub(super) fn kwok(folder: &Folder) -> Vec<String> {
    vec![
        "--manage-all-nodes".into(),
        path("--kubeconfig", &folder.kubeconfig("kwok")),
        path("--config", &folder.stages()),
        "--cidr=10.244.0.0/16".into(),
        // A Node whose lease is not renewed for 50 s becomes Unknown.
        "--node-lease-duration-seconds=40".into(),
    ]
}

fn path(flag: &str, path: &Path) -> String {
    format!("{flag}={}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PORTS: Ports = Ports { etcd: 1, etcd_peer: 2, apiserver: 3 };

    fn all() -> Vec<Vec<String>> {
        let folder = Folder::at("/tmp/plane");
        vec![
            etcd(&folder, &PORTS),
            apiserver(&folder, &PORTS),
            apiserver_for_real_nodes(&folder, &PORTS),
            controller_manager(&folder),
            scheduler(&folder),
            kwok(&folder),
        ]
    }

    #[test]
    fn every_file_lies_in_the_folder() {
        for flag in all().concat() {
            let value = flag.split_once('=').map_or("", |(_, value)| value);
            assert!(!value.starts_with('/') || value.starts_with("/tmp/plane/"), "{flag}");
        }
    }

    #[test]
    fn nothing_listens_beyond_this_machine() {
        let folder = Folder::at("/tmp/plane");
        for flag in [etcd(&folder, &PORTS), apiserver(&folder, &PORTS)].concat() {
            let listens = flag.starts_with("--listen") || flag.starts_with("--bind-address");
            assert!(!listens || flag.contains("127.0.0.1"), "{flag}");
        }
        for flags in [controller_manager(&Folder::at("/x")), scheduler(&Folder::at("/x"))] {
            assert!(flags.contains(&"--secure-port=0".to_owned()));
        }
    }

    #[test]
    fn no_flag_is_given_twice() {
        for flags in all() {
            let names: BTreeSet<_> = flags.iter().map(|flag| flag.split('=').next()).collect();
            assert_eq!(names.len(), flags.len(), "{flags:?}");
        }
    }
}
