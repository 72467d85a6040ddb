//! The operator's programs, built by the cargo that built this one.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The programs that a fleet can run.
const NAMES: [&str; 5] = ["controller", "apiserver", "agent", ORIGINAL, "webhook"];
/// The one of them that only mixed fleets run.
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

/// Where the built programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds what is missing or old, once in this process; with everything fresh that takes a moment.
    ///
    /// # Errors
    /// When cargo cannot be started, or the build fails.
    pub async fn build() -> anyhow::Result<Self> {
        static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
        let folder = BUILT.get_or_try_init(async || {
            let folder = folder()?;
            build(&folder, &NAMES).await?;
            anyhow::Ok(folder)
        });
        Ok(Self { folder: folder.await?.clone() })
    }

    /// Builds one program as this one is built, for those who need no other.
    ///
    /// # Errors
    /// As [`Programs::build`].
    pub async fn build_only(name: &str) -> anyhow::Result<Self> {
        let folder = folder()?;
        build(&folder, &[name]).await?;
        Ok(Self { folder })
    }

    /// Builds for release, whatever this program is built as: what every fleet runs, and the original agent where it is
    /// wanted.
    pub(super) async fn for_release(original: bool) -> anyhow::Result<Self> {
        let folder = folder()?.with_file_name("release");
        let names = ["controller", "apiserver", "agent", ORIGINAL];
        build(&folder, if original { &names } else { &names[..3] }).await?;
        Ok(Self { folder })
    }

    /// Where the program of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
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
