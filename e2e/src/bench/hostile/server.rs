//! The attacked server, as attackers and honest callers reach it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::http::{Dial, Dialing, Stream};
use anyhow::Context;
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, ClientConnection};

/// How long an attacker waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the server is, and how it proves itself.
pub(crate) struct Server {
    port: u16,
    name: ServerName<'static>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Server {
    /// The server on a local port, with a certificate for `name` that the authority in a file has signed.
    pub(crate) fn new(port: u16, name: &str, ca_file: &Path) -> anyhow::Result<Self> {
        let ca = std::fs::read(ca_file).with_context(|| format!("cannot read {}", ca_file.display()))?;
        let http1 = runtime::tls::client_config(&ca)?;
        let mut http2 = http1.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from(name.to_owned())?;
        Ok(Self { port, name, http1: Arc::new(http1), http2: Arc::new(http2) })
    }

    /// A connection from an address on which nothing has been said yet.
    pub(crate) async fn tcp(&self, from: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection for HTTP/1.1.
    pub(crate) async fn tls(&self, from: Ipv4Addr) -> io::Result<TlsStream<TcpStream>> {
        TlsConnector::from(self.http1.clone()).connect(self.name.clone(), self.tcp(from).await?).await
    }

    /// A connection for HTTP/2, which somebody has to drive.
    pub(crate) async fn http2(
        &self,
        from: Ipv4Addr,
        builder: &Builder,
    ) -> io::Result<(SendRequest<Bytes>, Connection<TlsStream<TcpStream>>)> {
        let connect = async {
            let connector = TlsConnector::from(self.http2.clone());
            let stream = connector.connect(self.name.clone(), self.tcp(from).await?).await?;
            builder.handshake(stream).await.map_err(io::Error::other)
        };
        timeout(PATIENCE, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// What a client says first.
    pub(crate) fn hello(&self) -> io::Result<Vec<u8>> {
        let connection = ClientConnection::new(self.http2.clone(), self.name.clone()).map_err(io::Error::other);
        let mut hello = Vec::new();
        connection?.write_tls(&mut hello)?;
        Ok(hello)
    }
}

/// Dials the server from an address.
pub(crate) struct From {
    pub(crate) server: Arc<Server>,
    pub(crate) address: Ipv4Addr,
}

impl Dial for From {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(async { Ok(Box::new(self.server.tls(self.address).await?) as Box<dyn Stream>) })
    }
}
