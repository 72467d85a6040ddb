//! One real node: kubelet, containerd and kube-proxy in namespaces of their own, over a disk that outlives them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use semver::Version;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::NodePrograms;
use super::files::{Files, put};
use super::group::Group;
use super::requirements::Machine;
use crate::controlplane::{ControlPlane, Process, Program, Underlay, address};

/// Milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// The import of an image of 60 MB takes a second or two.
const COMMAND: Duration = Duration::from_secs(180);

/// A node. Dropping it takes its power away, and its control groups.
#[derive(Debug)]
pub struct RealNode {
    name: String,
    number: u8,
    folder: PathBuf,
    containerd: PathBuf,
    process: Process,
    underlay: Underlay,
    group: Group,
}

/// What all nodes of a cluster have in common.
pub(super) struct Common<'a> {
    pub(super) plane: &'a ControlPlane,
    pub(super) underlay: &'a Underlay,
    pub(super) machine: &'a Machine,
    pub(super) programs: &'a NodePrograms,
    /// The folder with the archives that nodes start with.
    pub(super) images: &'a Path,
    /// How many nodes there are.
    pub(super) nodes: u8,
}

impl RealNode {
    /// The name of a node, counted from 1.
    pub(super) fn name_of(number: u8) -> String {
        format!("node-{number}")
    }

    /// Its folder. The host that it is has its socket in `host` there.
    pub(super) fn folder_of(plane: &ControlPlane, number: u8) -> PathBuf {
        plane.dir().join(Self::name_of(number))
    }

    /// Switches a node on for the first time. Its host is up already.
    pub(super) async fn start(common: &Common<'_>, number: u8, version: &Version) -> anyhow::Result<Self> {
        let name = Self::name_of(number);
        let folder = Self::folder_of(common.plane, number);
        let site = common.plane.dir().file_name().and_then(OsStr::to_str).context("a folder without a name")?;
        let group = Group::called(format!("{site}/{name}"));
        let enrolment = common.plane.enrol(&name, address(number), &common.underlay.nodes_url())?;
        let files = Files {
            number,
            folder: &folder,
            group: group.name(),
            machine: common.machine,
            programs: common.programs,
            enrolment: &enrolment,
        };
        files.write().await?;
        write_release(&folder, version)?;
        group.make()?;
        let script = folder.join("node.sh");
        put(&script, include_str!("node.sh"))?;
        let namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"];
        let program = Program::new("/usr/bin/env").arg("unshare").args(namespaces).args(["--", "sh"]).arg(script);
        let program = program
            .env("NODE", &folder)
            .env("NAME", &name)
            .env("ADDRESS", address(number).to_string())
            .env("GATEWAY", crate::controlplane::CONTROL_PLANE.to_string())
            .env("ROUTES", files.routes(common.nodes))
            .env("IMAGES", common.images)
            .env("KUBELET", &common.programs.kubelet)
            .env("CONTAINERD", &common.programs.containerd)
            .env("KUBECONFIG", &enrolment.kubelet)
            .env(
                "LABELS",
                format!("{}={}", api::names::UPDATER_INTERFACE_LABEL, api::names::UPDATER_INTERFACE_VERSION),
            );
        let process = common.plane.spawn(&name, program)?;
        let containerd = common.programs.containerd.clone();
        let node = Self { name, number, folder, containerd, process, underlay: common.underlay.clone(), group };
        node.plug_in().await?;
        Ok(node)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder with the logs of its kubelet, containerd and kube-proxy.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Whether its power is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.process.is_running()
    }

    /// Everything on it ends at once, without a word. What is on its disk stays.
    ///
    /// # Errors
    /// When something of it lives on.
    pub async fn power_off(&self) -> anyhow::Result<()> {
        self.kill_init();
        // No pod is in its groups any more then, and the next boot makes them anew.
        wait(&format!("{} to be off", self.name), || {
            Ok(!self.process.is_running() && self.group.remove().map(|()| true)?)
        })
        .await
    }

    /// Boots it, into a version.
    ///
    /// # Errors
    /// When it is on, or cannot be started.
    pub async fn power_on(&self, version: &Version) -> anyhow::Result<()> {
        ensure!(!self.is_on(), "{} is on", self.name);
        write_release(&self.folder, version)?;
        self.group.make()?;
        self.process.restart()?;
        self.plug_in().await
    }

    /// Imports an image from an archive.
    ///
    /// # Errors
    /// When the node is off, or its runtime does not take the archive.
    pub async fn import(&self, archive: &Path) -> anyhow::Result<()> {
        let ctr = self.containerd.join("ctr");
        let args = ["--namespace", "k8s.io", "images", "import", "--local"].map(OsStr::new);
        self.run(&ctr, args.into_iter().chain([archive.as_os_str()])).await?;
        Ok(())
    }

    /// Runs a program in its namespaces, and returns what it wrote.
    ///
    /// # Errors
    /// When the node is off, or the program fails.
    pub async fn run(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<String> {
        let init = self.init().with_context(|| format!("{} is off", self.name))?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &init.as_raw_nonzero().to_string(), "--net", "--mount", "--pid", "--"]);
        command.arg(program).args(args).kill_on_drop(true).stdin(std::process::Stdio::null());
        let output =
            timeout(COMMAND, command.output()).await.context("it did not end")?.context("cannot run nsenter")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} on {}: {}", program.display(), self.name, errors.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn plug_in(&self) -> anyhow::Result<()> {
        let ours = fs::read_link("/proc/self/ns/net")?;
        let link = Path::new("/proc").join(self.process.pid().to_string()).join("ns/net");
        wait("a node's namespaces", || {
            ensure!(self.is_on(), "{} has ended; its log ends with\n{}", self.name, self.process.log_tail(10));
            Ok(fs::read_link(&link)? != ours)
        })
        .await?;
        self.underlay.plug(self.number, self.process.pid()).await
    }

    /// The first process in its namespaces; with it everything in them ends.
    fn init(&self) -> Option<Pid> {
        let unshare = self.process.pid();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
        Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
    }

    fn kill_init(&self) {
        match self.init() {
            // Its parent ends when all of it has ended.
            Some(init) => drop(kill_process(init, Signal::KILL)),
            None => drop(self.process.kill()),
        }
    }
}

impl Drop for RealNode {
    fn drop(&mut self) {
        self.kill_init();
        for _ in 0..500 {
            if !self.process.is_running() && self.group.remove().is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        tracing::warn!(node = self.name, "something of a node is left");
    }
}

/// Asks until the answer is yes. (The question of [`crate::controlplane::wait::eventually`] cannot be asked from a task.)
async fn wait(what: &str, mut probe: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe() {
            Ok(true) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error.context(format!("gave up waiting for {what}"))),
            Ok(false) => ensure!(Instant::now() <= deadline, "gave up waiting for {what} after {PATIENCE:?}"),
            Err(_) => {}
        }
        sleep(POLL).await;
    }
}

/// What the kubelet reads and reports as the Node's `osImage`.
fn write_release(folder: &Path, version: &Version) -> anyhow::Result<()> {
    let text = format!(
        "NAME=Bottlerocket\nID=bottlerocket\nVERSION_ID={version}\nPRETTY_NAME=\"Bottlerocket OS {version} (simulated)\"\n"
    );
    put(&folder.join("os-release"), &text)
}
