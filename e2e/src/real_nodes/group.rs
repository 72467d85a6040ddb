//! The control groups of a node (version 1: one in each hierarchy). Its pods are in them, beside this process rather than below it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

const ROOT: &str = "/sys/fs/cgroup";
/// The hierarchies that a kubelet wants to find its root in.
const HIERARCHIES: [&str; 9] = ["cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio", "systemd"];
/// A group has none of these until it is given some.
const CPUSET: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// A group in every hierarchy.
#[derive(Clone, Debug)]
pub(super) struct Group(String);

impl Group {
    /// Called so: a path below the root of each hierarchy.
    pub(super) fn called(name: String) -> Self {
        Self(name)
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// Makes it where it is missing.
    pub(super) fn make(&self) -> anyhow::Result<()> {
        for hierarchy in HIERARCHIES {
            let root = Path::new(ROOT).join(hierarchy);
            let group = root.join(&self.0);
            fs::create_dir_all(&group).with_context(|| format!("cannot create {}", group.display()))?;
            if hierarchy == "cpuset" {
                lend(&root, &self.0)?;
            }
        }
        Ok(())
    }

    /// Removes it from wherever it is. What still runs in it keeps it.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(ROOT).with_context(|| format!("cannot read {ROOT}"))? {
            let group = entry?.path().join(&self.0);
            remove(&group)?;
            if let Some(parent) = group.parent().filter(|_| self.0.contains('/')) {
                // The last one of its nodes; before that it is not empty.
                let _ = fs::remove_dir(parent);
            }
        }
        Ok(())
    }
}

/// Gives every group on the way all processors and memory that the root has.
fn lend(root: &Path, name: &str) -> anyhow::Result<()> {
    let mut group = PathBuf::from(root);
    for part in Path::new(name) {
        group.push(part);
        for file in CPUSET {
            let all = fs::read(root.join(file)).with_context(|| format!("cannot read {file}"))?;
            fs::write(group.join(file), all).with_context(|| format!("cannot write {file} of {}", group.display()))?;
        }
    }
    Ok(())
}

/// A group goes when it has no groups below it.
fn remove(group: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(group) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot read {}", group.display()))?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group).with_context(|| format!("cannot remove {}", group.display()))
}
