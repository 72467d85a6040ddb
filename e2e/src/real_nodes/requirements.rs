//! Whether this machine can carry real nodes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::distribution;

/// Programs of the distribution, and the package that has them on Debian.
const PROGRAMS: [(&str, &str); 8] = [
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("runc", "runc"),
];
/// Where distributions keep the programs that give pods their network.
const CNI_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin"];
/// Those of them that a node uses.
const CNI_PLUGINS: [&str; 3] = ["ptp", "host-local", "loopback"];

/// What nodes take from this machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) runc: PathBuf,
    /// The folder with the network plugins.
    pub(super) cni: PathBuf,
}

/// Finds it, or says in one sentence why there are no real nodes here.
///
/// # Errors
/// What is missing.
pub(super) fn machine() -> anyhow::Result<Machine> {
    let path = distribution::path();
    let root = rustix::process::geteuid().is_root();
    look(root, &path, &CNI_FOLDERS.map(Path::new), Path::new("/sys/fs/cgroup"))
}

fn look(root: bool, path: &OsString, cni: &[&Path], groups: &Path) -> anyhow::Result<Machine> {
    anyhow::ensure!(cfg!(target_os = "linux"), "real nodes take Linux");
    anyhow::ensure!(root, "real nodes take root: they are namespaces with networks and mounts of their own");
    let find = |name: &str| distribution::find(path, name);
    let missing: Vec<_> = PROGRAMS.iter().filter(|(name, _)| find(name).is_none()).collect();
    if let Some((name, package)) = missing.first() {
        anyhow::bail!("real nodes take {name}, which is not in the PATH (Debian's package {package})");
    }
    let whole = |folder: &&&Path| CNI_PLUGINS.iter().all(|plugin| folder.join(plugin).is_file());
    let Some(cni) = cni.iter().find(whole) else {
        anyhow::bail!(
            "real nodes take the network plugins {} (Debian's package containernetworking-plugins)",
            CNI_PLUGINS.join(", ")
        );
    };
    anyhow::ensure!(
        groups.join("memory").is_dir(),
        "real nodes have been made for control groups of version 1 alone, and {} has none",
        groups.display()
    );
    let runc = find("runc").unwrap_or_default();
    Ok(Machine { runc, cni: cni.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A machine on which nothing is missing.
    fn whole() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in PROGRAMS.map(|(name, _)| name).iter().chain(&CNI_PLUGINS) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("memory")).unwrap();
        folder
    }

    fn look_at(folder: &Path, root: bool) -> Result<Machine, String> {
        look(root, &folder.into(), &[folder], folder).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_machine_carries_nodes() {
        let folder = whole();
        let machine = look_at(folder.path(), true).unwrap();
        assert_eq!(machine.runc, folder.path().join("runc"));
        assert_eq!(machine.cni, folder.path());
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let folder = whole();
        assert!(look_at(folder.path(), false).unwrap_err().contains("root"));
        for (name, expected) in [
            ("conntrack", "take conntrack, which is not in the PATH (Debian's package conntrack)"),
            ("runc", "package runc"),
            ("ptp", "package containernetworking-plugins"),
        ] {
            fs::remove_file(folder.path().join(name)).unwrap();
            let error = look_at(folder.path(), true).unwrap_err();
            assert!(error.contains(expected), "{error}");
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::remove_dir(folder.path().join("memory")).unwrap();
        assert!(look_at(folder.path(), true).unwrap_err().contains("control groups of version 1"));
    }
}
