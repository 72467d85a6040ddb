//! The controller's program, built by the cargo that built this one.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// Builds it if it is missing or old, and says where it is.
pub(crate) async fn controller() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program's own path")?;
    let program = this.with_file_name("controller");
    let mut cargo = Command::new("cargo");
    // With the features of the whole workspace, as this program was built.
    cargo.args(["build", "--quiet", "--workspace", "--bin", "controller"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null()).kill_on_drop(true);
    ensure!(cargo.status().await.context("cannot start cargo")?.success(), "cargo build of the controller failed");
    ensure!(program.is_file(), "cargo built no {}", program.display());
    Ok(program)
}
