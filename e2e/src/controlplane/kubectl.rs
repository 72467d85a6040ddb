//! kubectl, for what is shorter in its words.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::assets::Assets;
use super::environment::Environment;
use super::plane::ControlPlane;

/// Longer than any `kubectl wait --timeout` of a test.
const DEADLINE: Duration = Duration::from_secs(180);

/// The kubectl of the control plane's version, for what needs no control plane. Where the programs are missing they are built.
///
/// # Errors
/// As [`ControlPlane::start`].
pub async fn kubectl_program() -> anyhow::Result<PathBuf> {
    let environment = Environment::read()?;
    let assets = tokio::task::spawn_blocking(move || Assets::locate(&environment)).await??;
    Ok(assets.program("kubectl"))
}

impl ControlPlane {
    /// Runs kubectl as administrator, and returns its standard output.
    ///
    /// # Errors
    /// When it fails, with its standard error, or has not ended after three minutes.
    pub async fn kubectl(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<String> {
        self.run(args, "").await
    }

    /// Applies manifests (server-side, taking over fields): any number of YAML documents.
    ///
    /// # Errors
    /// As [`kubectl`](Self::kubectl).
    pub async fn apply(&self, manifests: &str) -> anyhow::Result<()> {
        self.run(["apply", "--server-side", "--force-conflicts", "--filename=-"], manifests).await?;
        Ok(())
    }

    /// Applies a file, a folder of files, or a folder with a `kustomization.yaml`.
    ///
    /// # Errors
    /// As [`kubectl`](Self::kubectl).
    pub async fn apply_path(&self, path: &Path) -> anyhow::Result<()> {
        let kind = if path.join("kustomization.yaml").is_file() { "--kustomize" } else { "--filename" };
        let args = ["apply", "--server-side", "--force-conflicts", kind].map(OsStr::new);
        self.run(args.into_iter().chain([path.as_os_str()]), "").await?;
        Ok(())
    }

    async fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &str) -> anyhow::Result<String> {
        let mut kubectl = Command::new(self.kubectl_path());
        // No home but ours: kubectl keeps a cache and preferences there.
        kubectl.env_clear().env("HOME", self.dir()).env("KUBECONFIG", self.kubeconfig()).args(args);
        kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let arguments: Vec<_> = kubectl.as_std().get_args().map(OsStr::to_string_lossy).collect();
        let command = format!("kubectl {}", arguments.join(" "));

        let output = timeout(DEADLINE, output(kubectl, input)).await;
        let Output { status, stdout, stderr } = output
            .with_context(|| format!("{command} did not end in {DEADLINE:?}"))?
            .with_context(|| format!("cannot run {command}"))?;
        if !status.success() {
            bail!("{command}: {status}: {}", String::from_utf8_lossy(&stderr).trim());
        }
        String::from_utf8(stdout).with_context(|| format!("{command} wrote no UTF-8"))
    }
}

async fn output(mut kubectl: Command, input: &str) -> std::io::Result<Output> {
    let mut child = kubectl.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // It reads all of its input before it writes anything, or does not read at all.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    child.wait_with_output().await
}
