//! TLS with rustls and ring: a server whose certificate is renewed under it, and a client that trusts one bundle.

mod pair;
mod reload;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub use reload::{CertificateReloader, Reload, ServingCertificate};

/// Why a certificate, a key or a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The folder changed while it was read; the next reading will tell.
    #[error("{path} changed while it was read", path = path.display())]
    Changing {
        /// The file that changed.
        path: PathBuf,
    },
    /// There is no certificate, or one that is not PEM.
    #[error("no usable certificate")]
    Certificate(#[source] pem::Error),
    /// There is no private key in PKCS#8, PKCS#1 or SEC1, or one that is not PEM.
    #[error("no usable private key")]
    Key(#[source] pem::Error),
    /// A certificate or key cannot be used, or they do not belong together.
    #[error("certificate and key cannot be used")]
    Pair(#[source] rustls::Error),
    /// A bundle holds something that cannot be trusted, or the TLS library objects to the configuration.
    #[error("unusable TLS configuration")]
    Config(#[source] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server configuration without client certificates that offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// [`TlsError::Config`], which the tests exclude for the provider in use.
pub fn server_config(certificate: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A client configuration that trusts the certificates of a PEM bundle and nothing else.
///
/// It is cheap enough to be made for each connection from the mounted file's present bytes, so that a rotated authority
/// needs no restart. It offers no ALPN protocol, which means HTTP/1.1; a caller that speaks HTTP/2 adds it.
///
/// # Errors
/// When the bundle is not PEM, or holds no certificate or a broken one.
pub fn client_config(ca_pem: &[u8]) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        roots.add(certificate.map_err(TlsError::Certificate)?).map_err(TlsError::Config)?;
    }
    if roots.is_empty() {
        return Err(TlsError::Certificate(pem::Error::NoItemsFound));
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A configuration that lives as long as one connection has nothing to resume; the default keeps room for 256 sessions.
    config.resumption = Resumption::disabled();
    Ok(config)
}
