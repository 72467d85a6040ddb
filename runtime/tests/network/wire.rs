//! A server on one end, a client that writes what it likes on the other.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use rcgen::{CertifiedKey, KeyPair};
use runtime::server::{Limits, serve};
use runtime::tls::client_config;
use rustls::ClientConnection;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::{ResolvesServerCert, ServerConfig};
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// A listener whose connections are pipes, so that simulated time applies to them.
pub(crate) struct Pipes(mpsc::Receiver<(DuplexStream, SocketAddr)>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
        match self.0.recv().await {
            Some(accepted) => accepted,
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 2).into())
    }
}

/// A running server behind pipes.
pub(crate) struct Server {
    pipes: mpsc::Sender<(DuplexStream, SocketAddr)>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(tls: Option<Arc<ServerConfig>>, routes: Router, limits: Limits) -> Self {
        let (pipes, incoming) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(Pipes(incoming), tls, routes, limits, stop.clone().cancelled_owned()));
        Self { pipes, stop, task }
    }

    pub(crate) async fn connect(&self) -> DuplexStream {
        self.connect_from(Ipv4Addr::LOCALHOST).await
    }

    pub(crate) async fn connect_from(&self, address: impl Into<IpAddr>) -> DuplexStream {
        let (client, server) = duplex(64 << 10);
        self.pipes.send((server, (address.into(), 1).into())).await.unwrap();
        client
    }
}

pub(crate) fn own_certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// A server configuration for a certificate that stays, and the PEM that a client must trust.
pub(crate) fn fixed_tls() -> (Arc<ServerConfig>, String) {
    let own = own_certificate();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let certified = rustls::sign::CertifiedKey::from_der(vec![own.cert.der().clone()], key, &ring::default_provider());
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(certified.unwrap()));
    (runtime::tls::server_config(resolver).unwrap(), own.cert.pem())
}

pub(crate) async fn handshake<I>(io: I, ca: &str, alpn: &[&str]) -> io::Result<TlsStream<I>>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut config = client_config(ca.as_bytes()).unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), io).await
}

/// What a client sends first.
pub(crate) fn client_hello(ca: &str) -> Vec<u8> {
    let config = Arc::new(client_config(ca.as_bytes()).unwrap());
    let mut client = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// Routes with one handler that answers at once.
pub(crate) fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Sends bytes and reads until the answer ends with a text.
pub(crate) async fn exchange<I>(io: &mut I, request: &str, end: &str) -> String
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    io.write_all(request.as_bytes()).await.unwrap();
    io.flush().await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let read = io.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

/// What the server still has to say before it closes.
pub(crate) async fn rest<I: AsyncRead + Unpin>(io: &mut I) -> String {
    let mut answer = Vec::new();
    // A cut TLS connection ends without a goodbye, which is an error to rustls and what is meant here.
    let _ = timeout(Duration::from_secs(600), io.read_to_end(&mut answer)).await.expect("never closed");
    String::from_utf8(answer).unwrap()
}
