//! What a controller takes of its machine with a large cluster: the program itself, against a stub of the API server.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use e2e::controlplane::wait::eventually;
use e2e::fleet::Programs;
use e2e::fleet::installation::{free_ports, is_ready};
use tokio::process::Command;
use tokio::time::sleep;

use crate::stub;

const NODES: usize = 5_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a leader is left alone before it is looked at.
const SETTLE: Duration = Duration::from_secs(20);
/// How long it is looked at.
const IDLE: Duration = Duration::from_secs(60);
/// Clock ticks of the kernel in a second, as /proc counts them on Linux.
const TICKS: f64 = 100.0;

pub(crate) async fn print() -> anyhow::Result<()> {
    let port = stub::serve(NODES).await?;
    let folder = std::env::temp_dir().join(format!("bench-controller-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&folder, port).await;
    std::fs::remove_dir_all(&folder)?;
    measured
}

async fn measure(folder: &Path, port: u16) -> anyhow::Result<()> {
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, kubeconfig_for(port))?;
    let [metrics] = free_ports()?;
    let mut controller = Command::new(Programs::build_only("controller").await?.path("controller")?)
        .args(["--metrics-listen", &format!("127.0.0.1:{metrics}")])
        .env("KUBECONFIG", &kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("start the controller")?;
    let pid = controller.id().context("the controller has ended")?;
    eventually("the controller to be ready", PATIENCE, async || Ok(is_ready(metrics).await.then_some(()))).await?;
    sleep(SETTLE).await;
    let (resident, peak) = (kilobytes(pid, "VmRSS:")?, kilobytes(pid, "VmHWM:")?);
    let before = ticks(pid)?;
    sleep(IDLE).await;
    let cpu = (ticks(pid)? - before) / TICKS * 1000.0;
    println!("\nmemory with {NODES} Nodes of 50 images each, as many pods and shadows");
    println!("  resident {:.1} MiB, highest {:.1} MiB; the original 194 MB", mebibytes(resident), mebibytes(peak));
    println!("  idle: {cpu:.0} ms of CPU in {} s; the original 51 ms per second", IDLE.as_secs());
    controller.kill().await?;
    Ok(())
}

fn kubeconfig_for(port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: stub
contexts: [{{name: stub, context: {{cluster: stub, user: stub}}}}]
clusters: [{{name: stub, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]
users: [{{name: stub, user: {{}}}}]
"
    )
}

pub(crate) fn kilobytes(pid: u32, field: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// User and system time, in clock ticks.
pub(crate) fn ticks(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("no name in stat")?.1;
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).context("a short stat");
    Ok(field(11)? + field(12)?)
}

fn mebibytes(kilobytes: u64) -> f64 {
    f64::from(u32::try_from(kilobytes).unwrap_or(u32::MAX)) / 1024.0
}
