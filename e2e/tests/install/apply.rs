//! The manifest on a real control plane.

use std::process::Stdio;
use std::time::Duration;

use e2e::controlplane::ControlPlane;
use e2e::fleet::admission;
use e2e::install::{Manifest, workspace};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Far longer than anything here takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What kubectl came to.
pub(crate) struct Answer {
    pub(crate) accepted: bool,
    pub(crate) out: String,
    /// Errors and warnings.
    pub(crate) err: String,
}

/// kubectl as an administrator.
pub(crate) async fn kubectl(plane: &ControlPlane, args: &[&str], input: &str) -> Answer {
    let mut kubectl = Command::new(plane.kubectl_path());
    kubectl.env_clear().env("HOME", plane.dir()).env("KUBECONFIG", plane.kubeconfig()).args(args).kill_on_drop(true);
    kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = kubectl.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Answer { accepted: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_applies_without_a_warning_twice_and_then_the_first_policy() {
    let plane = ControlPlane::start().await.unwrap();
    // cert-manager's own objects have a test with cert-manager.
    let manifest = Manifest::shipped().unwrap().only(|group, _| group != "cert-manager.io");
    for first in [true, false] {
        let answer = kubectl(&plane, &["apply", "--filename=-"], &manifest.text()).await;
        assert!(answer.accepted && answer.err.is_empty(), "{}", answer.err);
        assert_eq!(answer.out.lines().count(), manifest.objects().len());
        for line in answer.out.lines() {
            assert_eq!(line.ends_with("created"), first, "{line}");
        }
    }
    an_upgrade_keeps_what_the_fence_tolerates(&plane, &manifest).await;
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd/updatepolicies.brupop.bottlerocket.aws"];
    let waited = kubectl(&plane, &wait, "").await;
    assert!(waited.accepted, "{}", waited.err);
    // The shipped configuration calls a Service, and here is none that anything is behind: the harness has its own.
    let delete = ["delete", "validatingwebhookconfiguration", "brupop-updatepolicies"];
    assert!(kubectl(&plane, &delete, "").await.accepted);
    let webhook = admission::install(&plane).await.unwrap();
    let sample = workspace("samples/start-here.yaml");
    let answer = kubectl(&plane, &["apply", "--filename", sample.to_str().unwrap()], "").await;
    // True of this cluster.
    let nobody = "Warning: spec.nodeSelector: selects no node that there is now";
    assert!(answer.accepted && answer.err.trim() == nobody, "{}", answer.err);
    webhook.process.kill().unwrap();
}

async fn an_upgrade_keeps_what_the_fence_tolerates(plane: &ControlPlane, manifest: &Manifest) {
    let fence = "validatingadmissionpolicybinding/brupop-apiserver-nodes";
    let list = ["annotate", fence, "brupop.bottlerocket.aws/tolerated-node-keys=example.com/team"];
    assert!(kubectl(plane, &list, "").await.accepted);
    for how in [&["apply"][..], &["apply", "--server-side", "--force-conflicts"]] {
        let answer = kubectl(plane, &[how, &["--filename=-"]].concat(), &manifest.text()).await;
        assert!(answer.accepted, "{}", answer.err);
        let shown = kubectl(plane, &["get", fence, "--output=jsonpath={.metadata.annotations}"], "").await;
        assert!(shown.out.contains("example.com/team"), "{how:?}: {}", shown.out);
    }
}
