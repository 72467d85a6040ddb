//! The network of a control plane whose nodes are real: a namespace with a bridge, which nodes are plugged into.
//!
//! Nothing of this machine's own network is touched, and nothing leads out: an image that is not on a node is not found
//! anywhere else.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::process::Process;
use super::program::Program;
use super::relay::Relay;
use super::site::Site;
use super::wait::eventually;

/// Where the control plane is.
pub(crate) const CONTROL_PLANE: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 1);
/// The port of the API there.
pub(super) const API_PORT: u16 = 6443;
/// How many nodes have an address.
pub(crate) const MOST_NODES: u8 = 9;
/// Milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holds the namespace. `$1` is the control plane's address, the others are the nodes' pod networks, each with its node's
/// address. A Service's address is translated only once a route for it has been found: hence a default route to nowhere.
const SCRIPT: &str = r#"
set -e
ip link set lo up
ip link add br0 type bridge
ip address add "$1/24" dev br0
ip link set br0 up
ip route add default via 172.31.0.254 dev br0
shift
while [ $# -gt 1 ]; do ip route add "$1" via "$2" dev br0; shift 2; done
echo 1 >/proc/sys/net/ipv4/ip_forward
echo the network is up
exec sleep infinity
"#;

/// A handle to the network, which is there as long as its holder runs.
#[derive(Debug, Clone)]
pub(crate) struct Underlay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    holder: Process,
    relay: Relay,
}

impl Underlay {
    pub(super) async fn create(site: &Site) -> anyhow::Result<Self> {
        let mut unshare = Program::new("/usr/bin/env").args(["unshare", "--net", "--", "sh", "-c", SCRIPT, "network"]);
        unshare = unshare.arg(CONTROL_PLANE.to_string());
        for node in 1..=MOST_NODES {
            unshare = unshare.args([pod_network(node), address(node).to_string()]);
        }
        let holder = site.spawn("network", unshare)?;
        eventually("a network namespace", PATIENCE, async || {
            ensure!(holder.is_running(), "its log ends with\n{}", holder.log_tail(5));
            Ok(holder.log_tail(1).contains("the network is up").then_some(()))
        })
        .await?;
        let relay = Relay::start(&link(&holder), (CONTROL_PLANE, API_PORT).into())?;
        Ok(Self(Arc::new(Shared { holder, relay })))
    }

    /// The URL of the API for this machine.
    pub(super) fn api_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.0.relay.port())
    }

    /// The URL of the API for nodes.
    pub(crate) fn nodes_url(&self) -> String {
        format!("https://{CONTROL_PLANE}:{API_PORT}")
    }

    /// The link of the namespace under `/proc`.
    pub(crate) fn namespace(&self) -> PathBuf {
        link(&self.0.holder)
    }

    /// Plugs a node into the bridge: its network namespace is that of the process, where the other end becomes `eth0`.
    pub(crate) async fn plug(&self, node: u8, pid: u32) -> anyhow::Result<()> {
        let port = format!("node{node}");
        let pid = pid.to_string();
        self.ip(["link", "add", "name", &port, "type", "veth", "peer", "name", "eth0", "netns", &pid]).await?;
        self.ip(["link", "set", &port, "master", "br0", "up"]).await
    }

    async fn ip(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<()> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace().display())).args(["--", "ip"]).args(args);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output =
            timeout(PATIENCE, command.output()).await.context("ip did not end")?.context("cannot run nsenter")?;
        ensure!(output.status.success(), "ip: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}

/// The address of a node.
pub(crate) const fn address(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 0, 10 + node)
}

/// The network of a node's pods.
pub(crate) fn pod_network(node: u8) -> String {
    format!("10.244.{node}.0/24")
}

fn link(holder: &Process) -> PathBuf {
    Path::new("/proc").join(holder.pid().to_string()).join("ns/net")
}
