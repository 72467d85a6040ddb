//! The manifest with a real cert-manager: issued, injected, renewed, and trusted all the time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::apiserver::{Apiserver, CallError, TlsDial};
use agent::contact::Contact;
use api::names;
use e2e::certmanager::{CertManager, KeyPair};
use e2e::controlplane::ControlPlane;
use e2e::controlplane::wait::eventually;
use e2e::fleet::installation::{ONE_ADDRESS, Replica, get, ready, start_apiserver};
use e2e::fleet::{APISERVER_NAME, Programs};
use e2e::install::Manifest;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use prometheus::Gauge;

use crate::apply::kubectl;

/// Far longer than anything here takes on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
const APISERVER: &str = "brupop-apiserver-certificate";
pub(crate) const AUTHORITY: &str = "brupop-selfsigned-ca";

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_issued_injected_and_renewed_without_a_restart_or_a_loss_of_trust() {
    let plane = ControlPlane::start().await.unwrap();
    let issuer = CertManager::start(&plane, names::DEFAULT_NAMESPACE).await.unwrap();
    let manifest = Manifest::shipped().unwrap();
    for _ in 0..2 {
        let answer = kubectl(&plane, &["apply", "--filename=-"], &manifest.text()).await;
        assert!(answer.accepted && answer.err.is_empty(), "{}", answer.err);
    }
    let first = issuer.issued(APISERVER, None).await.unwrap();
    let trusted = issuer.issued("brupop-apiserver-client-certificate", None).await.unwrap().authority;

    let apiserver = apiserver(&plane, &first).await;
    let folder = plane.dir().join("mounted");
    for name in [APISERVER_NAME, &format!("{APISERVER_NAME}.cluster.local")] {
        assert!(trusts(&plane, &apiserver, &trusted, name).await, "{name}");
    }
    assert!(!trusts(&plane, &apiserver, &trusted, "other.brupop-bottlerocket-aws.svc").await, "names are exact");

    // The leaf, under the same authority.
    issuer.renew(APISERVER).await.unwrap();
    let second = issuer.issued(APISERVER, Some(&first)).await.unwrap();
    assert!(second.certificate != first.certificate && second.key != first.key);
    serve(apiserver.metrics_port, &folder, &second, 1).await;
    assert!(trusts(&plane, &apiserver, &trusted, APISERVER_NAME).await, "after the renewal of the leaf");

    // The authority: another certificate of the same key, so that old and new vouch for each other.
    let root = issuer.issued("brupop-root-ca-secret", None).await.unwrap();
    issuer.renew(AUTHORITY).await.unwrap();
    let renewed = issuer.issued("brupop-root-ca-secret", Some(&root)).await.unwrap();
    assert!(renewed.certificate != root.certificate && renewed.key == root.key);
    assert!(trusts(&plane, &apiserver, &renewed.certificate, APISERVER_NAME).await, "the old leaf, the new authority");
    issuer.renew(APISERVER).await.unwrap();
    let third = issuer.issued(APISERVER, Some(&second)).await.unwrap();
    assert_eq!(third.authority, renewed.certificate);
    serve(apiserver.metrics_port, &folder, &third, 2).await;
    assert!(trusts(&plane, &apiserver, &trusted, APISERVER_NAME).await, "the new leaf, the old authority");
    assert!(apiserver.process.is_running());
}

/// Waits until kube-apiserver is told to trust the authority of the webhook's key pair.
pub(crate) async fn injected(plane: &ControlPlane, webhook: &KeyPair) {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(plane.client());
    eventually("the authority in the webhook configuration", PATIENCE, async || {
        let webhooks = api.get("brupop-updatepolicies").await?.webhooks.unwrap_or_default();
        let has = |bundle: &k8s_openapi::ByteString| bundle.0 == webhook.authority;
        let all = webhooks.iter().all(|webhook| webhook.client_config.ca_bundle.as_ref().is_some_and(has));
        Ok((webhooks.len() == 2 && all).then_some(()))
    })
    .await
    .unwrap();
}

/// The apiserver, with a key pair where the kubelet would mount it.
async fn apiserver(plane: &ControlPlane, pair: &KeyPair) -> Replica {
    let programs = Programs::build().await.unwrap();
    let folder = plane.dir().join("mounted");
    std::fs::create_dir(&folder).unwrap();
    mount(&folder, pair);
    let account = names::APISERVER_SERVICE_ACCOUNT;
    let kubeconfig = plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await.unwrap();
    let replica = start_apiserver(plane, &programs, "apiserver", &folder, kubeconfig, "info", ONE_ADDRESS).unwrap();
    ready(&replica.process, replica.metrics_port).await.unwrap();
    replica
}

/// Puts a key pair where the kubelet would mount it.
pub(crate) fn mount(folder: &Path, pair: &KeyPair) {
    std::fs::write(folder.join("tls.key"), &pair.key).unwrap();
    std::fs::write(folder.join("tls.crt"), &pair.certificate).unwrap();
}

/// Mounts a key pair and waits until the program with these metrics serves it, the `count`th that it took over.
pub(crate) async fn serve(metrics_port: u16, folder: &Path, pair: &KeyPair, count: u32) {
    mount(folder, pair);
    let line = format!("brupop_tls_certificate_reloads_total{{outcome=\"accepted\"}} {count}");
    eventually("the renewed certificate to be served", PATIENCE, async || {
        Ok(get(metrics_port, "/metrics").await?.contains(&line).then_some(()))
    })
    .await
    .unwrap();
}

/// Whether an agent that has this authority mounted gets through to the apiserver under this name. It is refused there, having
/// no token; without trust it would not be answered at all.
async fn trusts(plane: &ControlPlane, apiserver: &Replica, authority: &[u8], name: &str) -> bool {
    let file = plane.dir().join("authority.crt");
    std::fs::write(&file, authority).unwrap();
    let token = plane.dir().join("no-token");
    std::fs::write(&token, "none").unwrap();
    let dial = TlsDial::new("127.0.0.1".to_owned(), apiserver.port, name, file).unwrap();
    let contact = Contact::new(Gauge::new("contact", "unused").unwrap());
    let agent = Apiserver::new(Arc::new(dial), name.to_owned(), "node-1".to_owned(), token, contact);
    matches!(agent.read_through().await, Err(CallError::Refused { .. }))
}
