//! A link to the API that can be made bad.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::task::AbortOnDropHandle;

use super::plane::ControlPlane;

/// What the link does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// As if it were not there.
    Open,
    /// Every request arrives this much later.
    Slow(Duration),
    /// Every request is answered with this status code and reaches nobody. What is open, such as a watch, goes on.
    Refusing(StatusCode),
    /// Connections end, and new ones end at once.
    Cut,
}

/// A port of this machine that leads to the API, in plain HTTP. Dropping it cuts what is open.
pub struct Gateway {
    url: String,
    link: watch::Sender<Link>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Behind {
    address: SocketAddr,
    ca_file: PathBuf,
    link: watch::Receiver<Link>,
}

type Body = BoxBody<Bytes, hyper::Error>;

impl Gateway {
    /// An open link to the API of a control plane.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(plane: &ControlPlane) -> anyhow::Result<Self> {
        let address = plane.server().strip_prefix("https://").unwrap_or_default().parse().context("the API's URL")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (link, seen) = watch::channel(Link::Open);
        let behind = Behind { address, ca_file: plane.site.folder.pki().join("ca.crt"), link: seen };
        let task = AbortOnDropHandle::new(tokio::spawn(accept(listener, behind)));
        Ok(Self { url, link, _task: task })
    }

    /// The URL for a kubeconfig.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes what the link does from now on.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

async fn accept(listener: TcpListener, behind: Behind) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => {
                    open.spawn(serve(near, behind.clone()));
                }
                Err(error) => tracing::warn!(%error, "connection not accepted"),
            },
            Some(_) = open.join_next() => {}
        }
    }
}

async fn serve(near: TcpStream, behind: Behind) {
    let mut link = behind.link.clone();
    let service = service_fn(move |request| {
        let behind = behind.clone();
        async move { Ok::<_, Infallible>(answer(request, &behind).await) }
    });
    let connection = server::Builder::new().serve_connection(TokioIo::new(near), service);
    tokio::select! {
        // A connection that breaks is the caller's to notice.
        _ = connection => {}
        _ = link.wait_for(|link| *link == Link::Cut) => {}
    }
}

async fn answer(request: Request<Incoming>, behind: &Behind) -> Response<Body> {
    let link = *behind.link.borrow();
    match link {
        Link::Open | Link::Cut => {}
        Link::Slow(delay) => sleep(delay).await,
        Link::Refusing(code) => return refusal(code),
    }
    forward(request, behind).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the API is not reached");
        refusal(StatusCode::BAD_GATEWAY)
    })
}

async fn forward(request: Request<Incoming>, behind: &Behind) -> anyhow::Result<Response<Body>> {
    let config = runtime::tls::client_config(&std::fs::read(&behind.ca_file)?)?;
    let far = TcpStream::connect(behind.address).await?;
    let name = ServerName::from(behind.address.ip());
    let far = TlsConnector::from(Arc::new(config)).connect(name, far).await?;
    let (mut sender, connection) = client::handshake(TokioIo::new(far)).await?;
    // It ends with the answer, or when that is dropped.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.map(|body| body.boxed()))
}

/// As the API server's own filters answer.
fn refusal(code: StatusCode) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code.as_u16(),
        "message": format!("refused with {code} on the way"),
        "details": {"retryAfterSeconds": 1},
    });
    let body = Full::new(Bytes::from(status.to_string())).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert(RETRY_AFTER, http::HeaderValue::from_static("1"));
    response
}
