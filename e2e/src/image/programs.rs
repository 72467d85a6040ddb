//! The four programs, linked so that they need no file beside them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::fleet::OF_THE_CALLER;
use crate::install::workspace;

/// What an image holds.
pub const NAMES: [&str; 4] = ["controller", "apiserver", "agent", "webhook"];

/// One program, as a file.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in the root of the image.
    pub name: String,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// Builds the programs, and answers the folder they are in. `release` takes minutes the first time.
///
/// # Errors
/// When cargo cannot be started, or the build fails.
pub async fn programs(release: bool) -> anyhow::Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // By its name, so that rustup chooses the toolchain that the workspace asks for.
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--target", &target]).current_dir(workspace(""));
    // Naming a target keeps build scripts and macros out of this. Since glibc 2.34 its resolver is in the static library too.
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static").stdin(Stdio::null()).kill_on_drop(true);
    for variable in OF_THE_CALLER {
        cargo.env_remove(variable);
    }
    for name in NAMES {
        cargo.args(["--package", name]);
    }
    if release {
        cargo.arg("--release");
    }
    let status = cargo.status().await.context("cannot start cargo")?;
    ensure!(status.success(), "cargo build of the image's programs failed");
    Ok(workspace("target").join(target).join(if release { "release" } else { "debug" }))
}

/// The programs in a folder.
///
/// # Errors
/// When one of them is not there.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Program>> {
    let read = |name: &str| {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Program { name: name.to_owned(), bytes })
    };
    NAMES.into_iter().map(read).collect()
}
