//! The webhook's certificate with a real cert-manager: leaf and authority are renewed while kube-apiserver goes on asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::{UpdatePolicy, names};
use e2e::certmanager::{CertManager, KeyPair};
use e2e::controlplane::ControlPlane;
use e2e::controlplane::wait::eventually;
use e2e::fleet::Programs;
use e2e::fleet::admission::{self, Webhook};
use e2e::install::Manifest;
use kube::Api;
use kube::api::PostParams;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::apply::kubectl;
use crate::certificates::{AUTHORITY, PATIENCE, injected, mount, serve};

const CERTIFICATE: &str = "brupop-webhook-certificate";
const NAME: &str = "brupop-webhook.brupop-bottlerocket-aws.svc";
/// How many calls are answered before the next change.
const SOME: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_is_asked_without_a_gap_while_its_leaf_and_its_authority_are_renewed() {
    let plane = ControlPlane::start().await.unwrap();
    let issuer = CertManager::start(&plane, names::DEFAULT_NAMESPACE).await.unwrap();
    let manifest = Manifest::shipped().unwrap().only(|group, _| group != "apps");
    let answer = kubectl(&plane, &["apply", "--filename=-"], &manifest.text()).await;
    assert!(answer.accepted, "{}", answer.err);
    let first = issuer.issued(CERTIFICATE, None).await.unwrap();
    let folder = plane.dir().join("mounted");
    std::fs::create_dir(&folder).unwrap();
    mount(&folder, &first);
    let webhook = admission::run(&plane, &Programs::build().await.unwrap(), folder.clone(), "info").await.unwrap();
    let pid = webhook.process.pid();
    lead_the_service_to(&plane, &webhook).await;
    injected(&plane, &first).await;
    webhook.is_asked(&plane).await.unwrap();
    let calls = Calls::begin(&plane);
    calls.go_on().await;

    // The leaf, under the same authority.
    issuer.renew(CERTIFICATE).await.unwrap();
    let second = issuer.issued(CERTIFICATE, Some(&first)).await.unwrap();
    assert!(second.certificate != first.certificate && second.authority == first.authority);
    serve(webhook.metrics_port, &folder, &second, 1).await;
    assert_eq!(shown(&webhook, &first.authority).await, leaf(&second));
    calls.go_on().await;

    // The authority: what is injected follows it before the pods have the leaf that it signed.
    let root = issuer.issued("brupop-root-ca-secret", None).await.unwrap();
    issuer.renew(AUTHORITY).await.unwrap();
    issuer.issued("brupop-root-ca-secret", Some(&root)).await.unwrap();
    issuer.renew(CERTIFICATE).await.unwrap();
    let third = issuer.issued(CERTIFICATE, Some(&second)).await.unwrap();
    assert_ne!(third.authority, second.authority);
    injected(&plane, &third).await;
    assert_eq!(shown(&webhook, &third.authority).await, leaf(&second), "the old leaf, the new authority");
    calls.go_on().await;
    serve(webhook.metrics_port, &folder, &third, 2).await;
    assert_eq!(shown(&webhook, &third.authority).await, leaf(&third));
    assert_eq!(shown(&webhook, &second.authority).await, leaf(&third), "the new leaf, the old authority");
    calls.go_on().await;
    assert_eq!((webhook.process.is_running(), webhook.process.pid()), (true, pid), "without a restart");
}

/// Leads the shipped configuration, Service and all, to a port of this machine: there is no pod network here.
async fn lead_the_service_to(plane: &ControlPlane, webhook: &Webhook) {
    let service =
        json!({"spec": {"type": "ExternalName", "externalName": "localhost", "clusterIP": null, "clusterIPs": null}});
    let patch = service.to_string();
    let namespace = names::DEFAULT_NAMESPACE;
    let args = ["patch", "service", names::WEBHOOK_SERVICE, "--namespace", namespace, "--type=merge", "-p", &patch];
    plane.kubectl(args).await.unwrap();
    let port = |index| json!({"op": "replace", "path": format!("/webhooks/{index}/clientConfig/service/port"), "value": webhook.port});
    let patch = json!([port(0), port(1)]).to_string();
    let configuration = "validatingwebhookconfiguration/brupop-updatepolicies";
    plane.kubectl(["patch", configuration, "--type=json", "-p", &patch]).await.unwrap();
}

/// The certificate that the webhook shows to who trusts this authority and nobody else.
async fn shown(webhook: &Webhook, authority: &[u8]) -> Vec<u8> {
    let config = runtime::tls::client_config(authority).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", webhook.port)).await.unwrap();
    let stream =
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn leaf(pair: &KeyPair) -> Vec<u8> {
    rustls_pki_types::CertificateDer::from_pem_slice(&pair.certificate).unwrap().to_vec()
}

/// Policies that kube-apiserver has the webhook judge, one after another without a pause.
struct Calls {
    answered: Arc<AtomicUsize>,
    task: AbortOnDropHandle<anyhow::Error>,
}

impl Calls {
    fn begin(plane: &ControlPlane) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(ask(Api::all(plane.client()), Arc::clone(&answered)));
        Self { answered, task: AbortOnDropHandle::new(task) }
    }

    /// Waits for some more answers.
    async fn go_on(&self) {
        let enough = self.answered.load(Ordering::Relaxed) + SOME;
        let answered = async || {
            assert!(!self.task.is_finished(), "a call failed");
            Ok((self.answered.load(Ordering::Relaxed) >= enough).then_some(()))
        };
        eventually("calls to be answered", PATIENCE, answered).await.unwrap();
    }
}

/// Until a call has no answer.
async fn ask(policies: Api<UpdatePolicy>, answered: Arc<AtomicUsize>) -> anyhow::Error {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    // What only the webhook refuses.
    let nowhere = json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "metadata": {"name": "nowhere"},
        "spec": {"nodeSelector": {}, "schedule": {"timeZone": "Nowhere"}},
    });
    loop {
        let policy = serde_json::from_value(nowhere.clone()).unwrap();
        match policies.create(&dry_run, &policy).await {
            Err(kube::Error::Api(status)) if status.message.contains("denied the request") => {
                answered.fetch_add(1, Ordering::Relaxed);
            }
            other => {
                let error = anyhow::anyhow!("{other:?}");
                eprintln!("{error:#}");
                return error;
            }
        }
    }
}
