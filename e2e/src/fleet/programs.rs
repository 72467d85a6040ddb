//! The operator's programs, built by the cargo that built this one.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The programs that every fleet runs.
const FLEET: [&str; 4] = ["controller", "apiserver", "agent", "webhook"];
/// The one that only mixed fleets run.
const ORIGINAL: &str = "original-agent";

/// What cargo tells the programs it runs about their own crate. A build script that looks at them (`ring` has one) runs anew
/// when they change, and with it nearly everything is built anew: for a cargo that is started from here they must not be there.
pub(crate) const OF_THE_CALLER: [&str; 8] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// Where the programs are that were built.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
    names: Vec<String>,
}

impl Programs {
    /// Builds what is missing or old, once in this process; with everything fresh that takes a moment.
    ///
    /// # Errors
    /// When cargo cannot be started, or the build fails.
    pub async fn build() -> anyhow::Result<Self> {
        static BUILT: OnceCell<Programs> = OnceCell::const_new();
        let built = BUILT.get_or_try_init(async || Self::built(folder()?, &fleet(true)).await);
        Ok(built.await?.clone())
    }

    /// Builds one program as this one is built, for those who need no other.
    ///
    /// # Errors
    /// As [`Programs::build`].
    pub async fn build_only(name: &str) -> anyhow::Result<Self> {
        Self::built(folder()?, &[name]).await
    }

    /// Builds for release, whatever this program is built as: what every fleet runs, and the original agent where it is
    /// wanted.
    pub(super) async fn for_release(original: bool) -> anyhow::Result<Self> {
        Self::built(folder()?.with_file_name("release"), &fleet(original)).await
    }

    /// One program that somebody else has built, such as that of another version.
    ///
    /// # Errors
    /// When there is no such file in the folder.
    pub fn ready_made(folder: &Path, name: &str) -> anyhow::Result<Self> {
        // Whoever runs it has another working directory.
        let folder = folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?;
        ensure!(folder.join(name).is_file(), "there is no {name} in {}", folder.display());
        Ok(Self { folder, names: vec![name.to_owned()] })
    }

    async fn built(folder: PathBuf, names: &[&str]) -> anyhow::Result<Self> {
        build(&folder, names).await?;
        Ok(Self { folder, names: names.iter().map(|&name| name.to_owned()).collect() })
    }

    /// Where the program of this name is.
    ///
    /// # Errors
    /// When it was not asked for: it may lie in the folder all the same, left there by a build of something else.
    pub fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        ensure!(self.names.iter().any(|built| built == name), "{name} was not built: only {}", self.names.join(", "));
        Ok(self.folder.join(name))
    }
}

/// What a fleet runs, with original agents in it or without.
fn fleet(original: bool) -> Vec<&'static str> {
    FLEET.into_iter().chain(original.then_some(ORIGINAL)).collect()
}

async fn build(folder: &Path, names: &[&str]) -> anyhow::Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // By its name, so that rustup chooses the toolchain that the workspace asks for.
    let mut cargo = Command::new("cargo");
    // The whole workspace, so that the features of shared dependencies are those that this program was built with.
    cargo.args(["build", "--quiet", "--workspace"]).current_dir(&workspace).stdin(Stdio::null());
    for name in names {
        cargo.args(["--bin", name]);
    }
    for variable in OF_THE_CALLER {
        cargo.env_remove(variable);
    }
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.kill_on_drop(true).status().await.context("cannot start cargo")?;
    ensure!(status.success(), "cargo build of the operator's programs failed");
    for name in names {
        ensure!(folder.join(name).is_file(), "cargo built no {name} in {}", folder.display());
    }
    Ok(())
}

/// The folder of this profile's programs: that of this program, or its parent where this program is a test.
fn folder() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program's own path")?;
    let folder = this.parent().context("this program has no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_not_built_is_not_found_though_another_build_left_it_there() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["apiserver", "webhook"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let programs = Programs::ready_made(folder.path(), "apiserver").unwrap();
        assert!(programs.path("apiserver").unwrap().ends_with("apiserver"));
        let error = programs.path("webhook").unwrap_err();
        assert_eq!(error.to_string(), "webhook was not built: only apiserver");
        assert!(Programs::ready_made(folder.path(), "agent").is_err());
    }
}
