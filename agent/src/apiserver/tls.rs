//! Connecting to the apiserver by address, and proving it by name.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::{Dial, Dialing, Stream};

/// TLS over TCP. The address and the name are apart, so that no name has to be looked up on a node whose DNS pod is drained.
pub struct TlsDial {
    host: String,
    port: u16,
    name: ServerName<'static>,
    ca_file: PathBuf,
}

impl TlsDial {
    /// Connects to `host` and `port`, and expects a certificate for `name` that an authority in `ca_file` has signed.
    ///
    /// # Errors
    /// When `name` is no DNS name or address.
    pub fn new(host: String, port: u16, name: &str, ca_file: PathBuf) -> anyhow::Result<Self> {
        let name = ServerName::try_from(name.to_owned())?;
        Ok(Self { host, port, name, ca_file })
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        // The file lies in memory, so reading it does not block.
        let bundle = std::fs::read(&self.ca_file)
            .map_err(|error| io::Error::other(format!("cannot read {}: {error}", self.ca_file.display())))?;
        let config = runtime::tls::client_config(&bundle)
            .map_err(|error| io::Error::other(format!("{}: {error}", self.ca_file.display())))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Box::new(connector.connect(self.name.clone(), stream).await?))
    }
}

impl Dial for TlsDial {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(self.connect())
    }
}
