//! A real cert-manager beside a control plane: the programs that issue certificates and inject authorities. Its webhook, which
//! only judges and defaults what people write, is left out.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::json;

use crate::controlplane::wait::eventually;
use crate::controlplane::{ControlPlane, Process, Program, certmanager_folder};
use crate::fleet::installation::free_ports;

/// It issues within seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// cert-manager, for as long as the control plane runs.
pub struct CertManager {
    /// Issues.
    pub controller: Process,
    /// Injects.
    pub cainjector: Process,
    certificates: Api<DynamicObject>,
    secrets: Api<Secret>,
}

/// A Secret of type `kubernetes.io/tls`, as cert-manager writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyPair {
    /// `ca.crt`.
    pub authority: Vec<u8>,
    /// `tls.crt`.
    pub certificate: Vec<u8>,
    /// `tls.key`.
    pub key: Vec<u8>,
}

impl CertManager {
    /// Installs its CRDs and starts it for the certificates of one namespace. The first time on a machine it is built.
    ///
    /// # Errors
    /// When it is neither there nor can be built, or its CRDs are not accepted.
    pub async fn start(plane: &ControlPlane, namespace: &str) -> anyhow::Result<Self> {
        let folder = certmanager_folder().await?;
        plane.apply_path(&folder).await.context("cert-manager's CRDs")?;
        plane.kubectl(["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]).await?;
        let [metrics] = free_ports()?;
        let program = |name: &str| {
            let program = Program::new(folder.join(name)).args(["--leader-elect=false".to_owned()]);
            program.args(["--kubeconfig".into(), plane.kubeconfig().into_os_string()])
        };
        let metrics = format!("--metrics-listen-address=127.0.0.1:{metrics}");
        let controller = program("cert-manager-controller").args([metrics]);
        let kind = GroupVersionKind::gvk("cert-manager.io", "v1", "Certificate");
        Ok(Self {
            controller: plane.spawn("cert-manager-controller", controller)?,
            cainjector: plane.spawn("cert-manager-cainjector", program("cert-manager-cainjector"))?,
            certificates: Api::namespaced_with(plane.client(), namespace, &ApiResource::from_gvk(&kind)),
            secrets: Api::namespaced(plane.client(), namespace),
        })
    }

    /// Waits until a Secret holds a whole key pair other than `before`.
    ///
    /// # Errors
    /// When that does not come about; the message has the end of cert-manager's log.
    pub async fn issued(&self, secret: &str, before: Option<&KeyPair>) -> anyhow::Result<KeyPair> {
        let what = format!("the Secret {secret}");
        let issued = eventually(&what, PATIENCE, async || {
            let secret = self.secrets.get_opt(secret).await?;
            Ok(secret.as_ref().and_then(KeyPair::read).filter(|pair| before != Some(pair)))
        });
        issued.await.with_context(|| format!("its log ends with\n{}", self.controller.log_tail(20)))
    }

    /// Asks for a renewal, as `cmctl renew` does.
    ///
    /// # Errors
    /// When there is no such Certificate.
    pub async fn renew(&self, certificate: &str) -> anyhow::Result<()> {
        let found = self.certificates.get(certificate).await?;
        let mut conditions = found.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.push(json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "renewal asked for",
            "lastTransitionTime": runtime::clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }));
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": found.metadata.resource_version}, "status": {"conditions": conditions},
        }));
        self.certificates.patch_status(certificate, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

impl KeyPair {
    fn read(secret: &Secret) -> Option<Self> {
        let part = |name: &str| {
            let ByteString(bytes) = secret.data.as_ref()?.get(name)?;
            Some(bytes.clone()).filter(|bytes| !bytes.is_empty())
        };
        Some(Self { authority: part("ca.crt")?, certificate: part("tls.crt")?, key: part("tls.key")? })
    }
}
