//! What the tests share: one control plane with the webhook, for as long as a test needs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use api::UpdatePolicy;
use e2e::controlplane::{ControlPlane, Shared};
use e2e::fleet::admission::{self, Webhook};
use kube::Api;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Far longer than anything here takes on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

static SHARED: Shared<Site> = Shared::new();

/// Runs a test on the shared control plane, which ends with the last test that uses it. Such a test stores nothing that
/// another could see.
pub(crate) fn on_site(test: impl AsyncFnOnce(&Site)) {
    SHARED.run(Site::start, test);
}

pub(crate) struct Site {
    pub(crate) webhook: Webhook,
    pub(crate) plane: ControlPlane,
}

/// What kubectl came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) accepted: bool,
    /// Errors and warnings, as a person sees them.
    pub(crate) says: String,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let plane = ControlPlane::start().await.unwrap();
        let webhook = admission::install(&plane).await.unwrap();
        Self { webhook, plane }
    }

    pub(crate) fn policies(&self) -> Api<UpdatePolicy> {
        Api::all(self.plane.client())
    }

    /// `kubectl ARGS --filename=-` with the manifests as its input.
    pub(crate) async fn kubectl(&self, args: &[&str], manifests: &str) -> Answer {
        let mut kubectl = Command::new(self.plane.kubectl_path());
        kubectl.env_clear().env("HOME", self.plane.dir()).env("KUBECONFIG", self.plane.kubeconfig());
        kubectl.args(args).arg("--filename=-").kill_on_drop(true);
        kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = kubectl.spawn().unwrap();
        child.stdin.take().unwrap().write_all(manifests.as_bytes()).await.unwrap();
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        Answer { accepted: output.status.success(), says: String::from_utf8(output.stderr).unwrap() }
    }

    /// What becomes of manifests without storing them.
    pub(crate) async fn dry_run(&self, manifests: &str) -> Answer {
        self.kubectl(&["apply", "--dry-run=server"], manifests).await
    }

    pub(crate) async fn apply(&self, manifests: &str) -> Answer {
        self.kubectl(&["apply"], manifests).await
    }

    pub(crate) async fn delete(&self, manifests: &str) -> Answer {
        self.kubectl(&["delete", "--wait=false"], manifests).await
    }
}

/// A policy as a manifest.
pub(crate) fn policy(name: &str, spec: &Value) -> String {
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
        "metadata": {"name": name}, "spec": spec,
    })
    .to_string()
}

/// The files of a folder of `samples`, by name.
pub(crate) fn samples(folder: &str) -> Vec<(String, String)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut manifests: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    manifests.sort();
    assert!(!manifests.is_empty());
    manifests
}

/// What a sample in `samples/invalid` says it is refused with.
pub(crate) fn refused(manifest: &str) -> &str {
    manifest.lines().find_map(|line| line.strip_prefix("# Refused: ")).unwrap()
}
