//! What the API holds when a test fails.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::assets::Assets;
use super::folder::Folder;
use super::screen::say;
use super::spawner;

/// The objects that tell how a rollout stood, by the names kubectl knows them under.
const RESOURCES: [&str; 8] = [
    "nodes",
    "bottlerocketshadows",
    "updatepolicies",
    "daemonsets,deployments,replicasets",
    "pods",
    "poddisruptionbudgets",
    "leases",
    "events",
];

/// For each of [`RESOURCES`]. A kube-apiserver that a test has stopped refuses at once.
const DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Writes every object of [`RESOURCES`] as YAML. What cannot be had is said in the file instead: a dump must not fail in the
/// drop of a test that has.
pub(super) fn write(assets: &Assets, folder: &Folder) {
    if let Err(error) = fs::create_dir_all(folder.dump()) {
        say(&format!("cannot create {}: {error}", folder.dump().display()));
        return;
    }
    for resources in RESOURCES {
        let file = folder.dump().join(format!("{}.yaml", resources.replace(',', "-")));
        if let Err(error) = get(assets, folder, resources, &file) {
            say(&format!("cannot dump {resources}: {error:#}"));
        }
    }
}

fn get(assets: &Assets, folder: &Folder, resources: &str, file: &Path) -> anyhow::Result<()> {
    let output = File::create(file)?;
    let mut kubectl = spawner::mortal(assets.program("kubectl"));
    kubectl.args([
        "get",
        resources,
        "--all-namespaces",
        "--output=yaml",
        "--show-managed-fields",
        "--request-timeout=5s",
    ]);
    kubectl.arg("--kubeconfig").arg(folder.admin_kubeconfig()).env("HOME", folder.root());
    kubectl.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(wait(spawner::spawn(kubectl)?)?)
}

fn wait(mut child: Child) -> io::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
        }
        thread::sleep(POLL);
    }
    Ok(())
}
