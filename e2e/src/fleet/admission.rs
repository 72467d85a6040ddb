//! The webhook and the admission policies, installed from `config` into a control plane that has no cert-manager and no pod
//! network: the harness issues the certificate, and the webhook configuration calls a port of this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use api::{UpdatePolicy, names};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhookConfiguration, WebhookClientConfig};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::installation::{free_ports, local, ready};
use super::programs::Programs;
use crate::controlplane::wait::eventually;
use crate::controlplane::{ControlPlane, Process, Program};
use crate::install::Manifest;

/// How long kube-apiserver has until it follows a configuration it was given.
const PATIENCE: Duration = Duration::from_secs(60);
/// The name of the shipped webhook configuration.
const CONFIGURATION: &str = "brupop-updatepolicies";
/// The name of the certificate's folder.
const CERTIFICATE: &str = "webhook";

/// A webhook that kube-apiserver asks.
pub struct Webhook {
    /// Its process.
    pub process: Process,
    /// The port it is asked on.
    pub port: u16,
    /// The port of its health and metrics.
    pub metrics_port: u16,
    /// The folder with its certificate.
    pub certificates: PathBuf,
}

/// Installs the CRDs, roles, admission policies and the webhook alone, without the rest of the operator.
///
/// # Errors
/// When any of it fails; the message says what.
pub async fn install(plane: &ControlPlane) -> anyhow::Result<Webhook> {
    install_from(plane, &Programs::build().await?).await
}

/// As [`install`], with a webhook that was built for somebody else.
///
/// # Errors
/// As [`install`].
pub async fn install_from(plane: &ControlPlane, programs: &Programs) -> anyhow::Result<Webhook> {
    super::installation::apply_manifests(plane).await?;
    start(plane, programs, "info").await
}

/// Starts the webhook and makes kube-apiserver ask it; returns when it does.
pub(super) async fn start(plane: &ControlPlane, programs: &Programs, log_filter: &str) -> anyhow::Result<Webhook> {
    let certificates = plane.issue_server_certificate(CERTIFICATE, &["127.0.0.1"])?;
    let webhook = run(plane, programs, certificates, log_filter).await?;
    configure(plane, webhook.port, &webhook.certificates).await?;
    webhook.is_asked(plane).await?;
    Ok(webhook)
}

/// Starts the webhook with the certificate in a folder; returns when it is ready. Nobody asks it yet.
///
/// # Errors
/// When it cannot be started, or is not ready within half a minute.
pub async fn run(
    plane: &ControlPlane,
    programs: &Programs,
    certificates: PathBuf,
    log_filter: &str,
) -> anyhow::Result<Webhook> {
    let [port, metrics_port] = free_ports()?;
    let kubeconfig = plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, names::WEBHOOK_SERVICE_ACCOUNT).await?;
    let program = Program::new(programs.path("webhook")?)
        .args(["--listen".to_owned(), local(port)])
        .args(["--metrics-listen".to_owned(), local(metrics_port)])
        .args(["--tls-dir".into(), certificates.clone().into_os_string()])
        .args(["--log-filter", log_filter])
        .env("KUBECONFIG", kubeconfig);
    let process = plane.spawn("brupop-webhook", program)?;
    ready(&process, metrics_port).await?;
    Ok(Webhook { process, port, metrics_port, certificates })
}

/// Applies the shipped webhook configuration, with the port in the place of the Service.
async fn configure(plane: &ControlPlane, port: u16, certificates: &Path) -> anyhow::Result<()> {
    let shipped = Manifest::shipped()?;
    let shipped = shipped.find("ValidatingWebhookConfiguration", CONFIGURATION).context("no webhook configuration")?;
    let mut configuration: ValidatingWebhookConfiguration = serde_json::from_value(shipped.clone())?;
    let ca = std::fs::read(certificates.join("ca.crt"))?;
    for webhook in configuration.webhooks.iter_mut().flatten() {
        let service = webhook.client_config.service.take().context("a webhook without a Service")?;
        ensure!(service.name == names::WEBHOOK_SERVICE, "the webhook configuration names Service {}", service.name);
        webhook.client_config = WebhookClientConfig {
            url: Some(format!("https://127.0.0.1:{port}{}", service.path.unwrap_or_default())),
            ca_bundle: Some(ByteString(ca.clone())),
            service: None,
        };
    }
    // Nobody else is to say whom kube-apiserver trusts here.
    configuration.metadata.annotations = None;
    let name = configuration.name_any();
    let api: Api<ValidatingWebhookConfiguration> = Api::all(plane.client());
    let parameters = PostParams::default();
    // Whole, since the one that people apply names a Service; and again where somebody else writes it at the same time.
    eventually("the webhook configuration to be written", PATIENCE, async || {
        let mut configuration = configuration.clone();
        match api.get_opt(&name).await? {
            Some(found) => {
                configuration.metadata.resource_version = found.metadata.resource_version;
                api.replace(&name, &parameters, &configuration).await?;
            }
            None => drop(api.create(&parameters, &configuration).await?),
        }
        Ok(Some(()))
    })
    .await
}

impl Webhook {
    /// Replaces the certificate by one that is good, or that expired long ago.
    ///
    /// # Errors
    /// When it cannot be issued or written.
    pub fn renew(&self, plane: &ControlPlane, good: bool) -> anyhow::Result<()> {
        let names = &["127.0.0.1"];
        if good {
            plane.issue_server_certificate(CERTIFICATE, names)?;
        } else {
            plane.issue_expired_certificate(CERTIFICATE, names)?;
        }
        Ok(())
    }

    /// Applies the webhook configuration anew, and waits until kube-apiserver follows it.
    ///
    /// # Errors
    /// When that does not come about.
    pub async fn configure_again(&self, plane: &ControlPlane) -> anyhow::Result<()> {
        configure(plane, self.port, &self.certificates).await?;
        self.is_asked(plane).await
    }

    /// Waits until kube-apiserver has the webhook refuse what only the webhook refuses.
    ///
    /// # Errors
    /// When that does not come about.
    pub async fn is_asked(&self, plane: &ControlPlane) -> anyhow::Result<()> {
        let policies: Api<UpdatePolicy> = Api::all(plane.client());
        let nowhere: UpdatePolicy = serde_json::from_value(json!({
            "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "metadata": {"name": "probe"},
            "spec": {"nodeSelector": {}, "schedule": {"timeZone": "Nowhere"}},
        }))?;
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        eventually("the webhook to be asked", PATIENCE, async || match policies.create(&dry_run, &nowhere).await {
            Ok(_) => Ok(None),
            Err(kube::Error::Api(status)) if status.message.contains("denied the request") => Ok(Some(())),
            Err(error) => Err(error.into()),
        })
        .await
        .with_context(|| format!("its log ends with\n{}", self.process.log_tail(20)))
    }
}
