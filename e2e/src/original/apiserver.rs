//! The original's calls of the apiserver: each attempt on a connection of its own, without a deadline, and with no look at
//! anything but whether the answer is a success.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::http::exchange;
use super::shadow::{Created, Status};
use super::time_scale::{Limit, Retries, TimeScale};

/// The name the original insists on: the Service's, in the one cluster domain it knows.
pub const SERVER_NAME: &str = "brupop-apiserver.brupop-bottlerocket-aws.svc.cluster.local";

/// Four calls a minute, and four at once.
const LIMIT_PERIOD: Duration = Duration::from_secs(15);
const LIMIT_BURST: u32 = 4;

const RESOURCE: &str = "/bottlerocket-node-resource";

/// The node a call is about.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub(super) name: String,
    pub(super) uid: String,
}

/// The apiserver.
pub(super) struct Apiserver {
    port: u16,
    token_file: PathBuf,
    ca_file: PathBuf,
    scale: TimeScale,
    limit: Mutex<Limit>,
}

/// One call, before it has a token.
struct Call {
    method: Method,
    path: String,
    body: Option<Bytes>,
}

impl Call {
    fn bare(path: &str) -> Self {
        Self { method: Method::POST, path: format!("{RESOURCE}/{path}"), body: None }
    }

    fn create(selector: &Selector) -> Self {
        let Selector { name, uid } = selector;
        let body = json!({"node_selector": {"node_name": name, "node_uid": uid}}).to_string();
        Self { method: Method::POST, path: RESOURCE.to_owned(), body: Some(body.into()) }
    }

    fn report(status: &Status) -> anyhow::Result<Self> {
        let body = serde_json::to_vec(status)?;
        Ok(Self { method: Method::PUT, path: RESOURCE.to_owned(), body: Some(body.into()) })
    }

    /// The request in the original's order of headers; the length comes last, from the HTTP library.
    fn request(&self, selector: &Selector, token: &[u8], port: u16) -> anyhow::Result<Request<Full<Bytes>>> {
        let host = if port == 443 { SERVER_NAME.to_owned() } else { format!("{SERVER_NAME}:{port}") };
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header(HeaderName::from_static("brupopnodeuid"), &selector.uid)
            .header(HeaderName::from_static("brupopnodename"), &selector.name)
            .header(HeaderName::from_static("brupopk8sauthtoken"), HeaderValue::from_bytes(token)?);
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.header(ACCEPT, "*/*").header(HOST, host);
        Ok(request.body(Full::new(self.body.clone().unwrap_or_default()))?)
    }
}

impl Apiserver {
    pub(super) fn on(port: u16, token_file: PathBuf, ca_file: PathBuf, scale: TimeScale) -> Self {
        Self { port, token_file, ca_file, scale, limit: Mutex::new(Limit::new(scale, LIMIT_PERIOD, LIMIT_BURST)) }
    }

    pub(super) async fn create(&self, selector: &Selector) -> anyhow::Result<()> {
        self.call(&Call::create(selector), selector, |body| parse::<Created>(body).map(drop)).await
    }

    pub(super) async fn report(&self, selector: &Selector, status: &Status) -> anyhow::Result<()> {
        self.call(&Call::report(status)?, selector, |body| parse::<Status>(body).map(drop)).await
    }

    pub(super) async fn exclude(&self, selector: &Selector) -> anyhow::Result<()> {
        self.bare("exclude-from-lb", selector).await
    }

    pub(super) async fn include(&self, selector: &Selector) -> anyhow::Result<()> {
        self.bare("remove-exclusion-from-lb", selector).await
    }

    pub(super) async fn cordon_and_drain(&self, selector: &Selector) -> anyhow::Result<()> {
        self.bare("cordon-and-drain", selector).await
    }

    pub(super) async fn uncordon(&self, selector: &Selector) -> anyhow::Result<()> {
        self.bare("uncordon", selector).await
    }

    async fn bare(&self, path: &str, selector: &Selector) -> anyhow::Result<()> {
        self.call(&Call::bare(path), selector, |_| Ok(())).await
    }

    /// The limit counts calls, not attempts.
    async fn call(
        &self,
        call: &Call,
        selector: &Selector,
        read: fn(&Bytes) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.limit.lock().await.ready().await;
        tracing::info!(method = %call.method, path = call.path, "call");
        let attempt = async || {
            let answer = self.attempt(call, selector).await;
            answer.and_then(|body| read(&body)).with_context(|| format!("{} {}", call.method, call.path))
        };
        let outcome = self.scale.retry(Retries::APISERVER, attempt).await;
        tracing::info!(method = %call.method, path = call.path, succeeded = outcome.is_ok(), "answered");
        outcome
    }

    async fn attempt(&self, call: &Call, selector: &Selector) -> anyhow::Result<Bytes> {
        let token = std::fs::read(&self.token_file).context("token")?;
        let request = call.request(selector, &token, self.port)?;
        let mut config = runtime::tls::client_config(&std::fs::read(&self.ca_file).context("authority")?)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(SERVER_NAME)?, stream).await?;
        let answer = exchange(stream, request).await?;
        if !answer.status().is_success() {
            bail!("status {}: {}", answer.status().as_u16(), String::from_utf8_lossy(answer.body()));
        }
        Ok(answer.into_body())
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> anyhow::Result<T> {
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod wire_tests;
