//! The images that nodes start with, and those they are given later.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::NodePrograms;
use crate::image::{Identity, NAMES, Program, archive, read};

/// Holds the namespaces of a pod.
pub(super) const PAUSE: &str = "localhost/pause:1";
/// Cluster DNS.
const DNS: &str = "localhost/coredns:1";

/// The size of the operator's image.
pub(super) fn operator_bytes(folder: &Path) -> anyhow::Result<u64> {
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    let path = folder.join(format!("operator-{tag}.tar"));
    Ok(path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len())
}

/// Writes the archives of all three: a pod's first process, cluster DNS, and the operator as the manifest names it.
pub(super) fn write(folder: &Path, programs: &NodePrograms, operator: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (reference, name) in [(PAUSE, "pause"), (DNS, "coredns")] {
        let path = programs.images.join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let identity = Identity {
            reference: reference.to_owned(),
            command: vec![format!("/{name}")],
            labels: [("org.opencontainers.image.title", name.to_owned())].into(),
        };
        put(folder, name, &archive(&identity, &[Program { name: name.to_owned(), bytes }])?)?;
    }
    write_operator(folder, &Identity::shipped(), operator)?;
    Ok(())
}

/// Writes the operator's image, from a folder with its programs; answers the archive and its size in bytes.
pub(super) fn write_operator(folder: &Path, identity: &Identity, operator: &Path) -> anyhow::Result<(PathBuf, usize)> {
    let programs = read(operator).with_context(|| format!("an image takes {}", NAMES.join(", ")))?;
    let bytes = archive(identity, &programs)?;
    let tag = identity.reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    Ok((put(folder, &format!("operator-{tag}"), &bytes)?, bytes.len()))
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{name}.tar"));
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
