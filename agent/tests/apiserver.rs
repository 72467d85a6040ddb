//! The client of the apiserver, over real TLS.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail as tests do")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use agent::apiserver::{Apiserver, CallError, Found, Stored, TlsDial};
use agent::contact::Contact;
use agent::outcome::Drained;
use api::shadow::BottlerocketShadowStatus;
use api::wire::{self, DrainProgress, Reason};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use prometheus::{Gauge, Registry};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use runtime::server::{Limits, listen, serve};
use runtime::tls::{CertificateReloader, server_config};
use tempfile::TempDir;

const NAME: &str = "brupop-apiserver.brupop-bottlerocket-aws.svc";

/// What was asked last, and what is answered next.
#[derive(Default)]
struct Talk {
    asked: Vec<(Method, String, HeaderMap, Bytes)>,
    answer: Option<(StatusCode, &'static str, String)>,
}

type Shared = Arc<Mutex<Talk>>;

async fn answer(State(talk): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut talk = talk.lock().unwrap();
    talk.asked.push((method, uri.to_string(), headers, body));
    let (status, tag, text) = talk.answer.clone().unwrap();
    (status, [("etag", tag)], text).into_response()
}

struct Site {
    talk: Shared,
    folder: TempDir,
    address: SocketAddr,
}

/// A server whose certificate is signed by the authority in `ca.crt`.
async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&params, &key);
    let own = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("ca.crt", ca.pem());
    write("tls.crt", leaf.pem());
    write("tls.key", own.serialize_pem());
    write("token", "first\n".to_owned());
    let (certificate, _) = CertificateReloader::load(folder.path(), &Registry::new()).await.unwrap();
    let talk = Shared::default();
    let routes = Router::new().fallback(answer).with_state(talk.clone());
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let listener = listen(address).await.unwrap();
    let tls = server_config(certificate).unwrap();
    tokio::spawn(serve(listener, Some(tls), routes, Limits::default(), std::future::pending()));
    Site { talk, folder, address }
}

impl Site {
    fn client(&self, name: &str, ca_file: &Path) -> (Apiserver, Contact) {
        let contact = Contact::new(Gauge::new("contact", "Contact.").unwrap());
        let dial = TlsDial::new(self.address.ip().to_string(), self.address.port(), name, ca_file.to_owned()).unwrap();
        let token = self.folder.path().join("token");
        (Apiserver::new(Arc::new(dial), name.to_owned(), "node-a".to_owned(), token, contact.clone()), contact)
    }

    fn good(&self) -> (Apiserver, Contact) {
        self.client(NAME, &self.folder.path().join("ca.crt"))
    }

    fn answers(&self, status: u16, tag: &'static str, text: impl Into<String>) {
        let status = StatusCode::from_u16(status).unwrap();
        self.talk.lock().unwrap().answer = Some((status, tag, text.into()));
    }

    fn refuses(&self, status: u16, reason: Reason) {
        let body = wire::ErrorBody { error: "because".to_owned(), reason };
        self.answers(status, "", serde_json::to_string(&body).unwrap());
    }

    fn last(&self) -> (Method, String, HeaderMap, Bytes) {
        self.talk.lock().unwrap().asked.last().unwrap().clone()
    }
}

fn status() -> BottlerocketShadowStatus {
    serde_json::from_str(
        r#"{"current_version":"1.19.0","target_version":"1.20.0","current_state":"Idle","crash_count":0}"#,
    )
    .unwrap()
}

#[tokio::test]
async fn a_call_carries_the_node_the_version_and_the_token_as_it_is_now() {
    let site = site().await;
    let (client, contact) = site.good();
    site.answers(200, "", r#"{"apiVersion":"brupop.bottlerocket.aws/v2","kind":"BottlerocketShadow","metadata":{"name":"brs-node-a"},"spec":{"state":"Idle"}}"#);
    assert!(!contact.is_recent());
    assert!(matches!(client.read_newer("7", 60).await.unwrap(), Found::Shadow(_)));
    assert!(contact.is_recent());
    let (method, uri, headers, _) = site.last();
    assert_eq!(
        (method, uri.as_str()),
        (Method::GET, "/bottlerocket-node-resource?resourceVersion=7&timeoutSeconds=60")
    );
    assert_eq!(headers[wire::NODE_NAME_HEADER], "node-a");
    assert_eq!(headers[wire::AGENT_VERSION_HEADER], agent::step::AGENT_VERSION);
    assert_eq!(headers[wire::TOKEN_HEADER], "first");
    assert_eq!(headers["host"], NAME);
    fs::write(site.folder.path().join("token"), "second").unwrap();
    assert!(matches!(client.read_through().await.unwrap(), Found::Shadow(_)));
    assert_eq!(site.last().2[wire::TOKEN_HEADER], "second");
    assert_eq!(site.last().2["cache-control"], "no-cache");
    site.answers(304, "", "");
    assert!(matches!(client.read_newer("7", 1).await.unwrap(), Found::Unchanged));
    site.refuses(404, Reason::NotFound);
    assert!(matches!(client.read_through().await.unwrap(), Found::Missing));
}

#[tokio::test]
async fn a_report_is_conditional_and_brings_the_new_resource_version() {
    let site = site().await;
    let (client, _) = site.good();
    site.answers(200, "\"8\"", "{}");
    assert_eq!(client.report(&status(), "7").await.unwrap(), Stored::As(Some("8".to_owned())));
    let (method, _, headers, body) = site.last();
    assert_eq!((method, &headers["if-match"]), (Method::PUT, &"\"7\"".parse().unwrap()));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(serde_json::from_slice::<BottlerocketShadowStatus>(&body).unwrap(), status());
    site.refuses(409, Reason::Conflict);
    assert_eq!(client.report(&status(), "7").await.unwrap(), Stored::Conflict);
    site.refuses(404, Reason::NotFound);
    assert_eq!(client.report(&status(), "7").await.unwrap(), Stored::Missing);
    site.refuses(503, Reason::Unavailable);
    assert!(client.report(&status(), "7").await.is_err());
}

#[tokio::test]
async fn every_answer_to_a_drain_is_told_apart() {
    let site = site().await;
    let (client, _) = site.good();
    let progress = DrainProgress { pods_left: 3, ..DrainProgress::default() };
    site.answers(202, "", serde_json::to_string(&progress).unwrap());
    assert_eq!(client.drain(30).await.unwrap(), Drained::Progress(progress));
    assert_eq!(site.last().2["prefer"], "wait=30");
    site.answers(200, "", "");
    assert_eq!(client.drain(30).await.unwrap(), Drained::Done);
    for (reason, drained) in [
        (Reason::NoApproval, Drained::NoApproval),
        (Reason::Vetoed, Drained::Vetoed),
        (Reason::DrainTimedOut, Drained::TimedOut),
    ] {
        site.refuses(409, reason);
        assert_eq!(client.drain(30).await.unwrap(), drained);
    }
    site.refuses(409, Reason::NotGivingBack);
    assert!(!client.uncordon().await.unwrap());
    site.answers(200, "", "");
    assert!(client.uncordon().await.unwrap());
}

#[tokio::test]
async fn only_an_answer_to_a_known_caller_is_contact() {
    let site = site().await;
    let (client, contact) = site.good();
    for (status, reason) in [(401, Reason::Unauthenticated), (403, Reason::Forbidden), (500, Reason::Unavailable)] {
        site.refuses(status, reason);
        assert!(client.uncordon().await.is_err());
        assert!(!contact.is_recent(), "{status}");
    }
    site.refuses(429, Reason::TooManyRequests);
    assert!(client.uncordon().await.is_err());
    assert!(contact.is_recent());
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_gets_no_token() {
    let site = site().await;
    site.answers(200, "", "");
    let stranger = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let other = site.folder.path().join("other.crt");
    fs::write(&other, stranger.cert.pem()).unwrap();
    let ca = site.folder.path().join("ca.crt");
    for (name, file) in [("another.svc", &ca), (NAME, &other)] {
        let (client, _) = site.client(name, file);
        assert!(matches!(client.uncordon().await, Err(CallError::NoAnswer(_))), "{name}");
    }
    assert!(site.talk.lock().unwrap().asked.is_empty());
    // A rotated authority needs no restart.
    let (client, _) = site.client(NAME, &other);
    fs::copy(&ca, &other).unwrap();
    assert!(client.uncordon().await.unwrap());
}
