//! A certificate chain and its key as they lie in a mounted folder.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::{TlsError, provider};

/// The bytes of `tls.crt` and `tls.key`.
#[derive(Eq, PartialEq)]
pub(super) struct Pair {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Pair {
    /// Reads both files. The certificate is read again after the key, because the kubelet exchanges the folder in one step
    /// and may do so between the two.
    pub(super) async fn read(folder: &Path) -> Result<Self, TlsError> {
        let path = folder.join("tls.crt");
        let certificate = read(&path).await?;
        let key = read(&folder.join("tls.key")).await?;
        if read(&path).await? != certificate {
            return Err(TlsError::Changing { path });
        }
        Ok(Self { certificate, key })
    }

    /// What the server can use, or what is wrong with it: the whole chain must parse and the key must be that of its first
    /// certificate.
    pub(super) fn certified(&self) -> Result<CertifiedKey, TlsError> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::Certificate(pem::Error::NoItemsFound));
        }
        for certificate in &chain {
            ParsedCertificate::try_from(certificate).map_err(TlsError::Pair)?;
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(TlsError::Key)?;
        let key = provider().key_provider.load_private_key(key).map_err(TlsError::Pair)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(TlsError::Pair)?;
        Ok(certified)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path).await.map_err(|error| TlsError::Read { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use rustls::{Error, InconsistentKeys};

    use super::*;

    const RSA: (&str, &str) =
        (include_str!("../../tests/keys/rsa-pkcs1.crt"), include_str!("../../tests/keys/rsa-pkcs1.key"));
    const EC: (&str, &str) =
        (include_str!("../../tests/keys/ec-sec1.crt"), include_str!("../../tests/keys/ec-sec1.key"));

    fn certified(certificate: &str, key: &str) -> Result<CertifiedKey, TlsError> {
        Pair { certificate: certificate.into(), key: key.into() }.certified()
    }

    #[test]
    fn pkcs1_sec1_and_pkcs8_keys_are_usable() {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (own_certificate, own_key) = (own.cert.pem(), own.signing_key.serialize_pem());
        for (label, certificate, key) in [
            ("-----BEGIN RSA PRIVATE KEY-----", RSA.0, RSA.1),
            ("-----BEGIN EC PRIVATE KEY-----", EC.0, EC.1),
            ("-----BEGIN PRIVATE KEY-----", own_certificate.as_str(), own_key.as_str()),
        ] {
            assert!(key.contains(label), "the fixture is not what it says: {label}");
            certified(certificate, key).expect(label);
        }
    }

    #[test]
    fn a_chain_is_kept_in_its_order() {
        let chain = certified(&[EC.0, RSA.0].concat(), EC.1).unwrap().cert;
        assert_eq!(chain.len(), 2);
        assert_eq!(chain[1], CertificateDer::from_pem_slice(RSA.0.as_bytes()).unwrap());
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        use TlsError::{Certificate, Key};
        let mismatch = Error::InconsistentKeys(InconsistentKeys::KeyMismatch);
        assert!(matches!(certified(EC.0, RSA.1), Err(TlsError::Pair(error)) if error == mismatch));
        assert!(matches!(certified("", EC.1), Err(Certificate(pem::Error::NoItemsFound))));
        assert!(matches!(certified(&EC.0[..200], EC.1), Err(Certificate(_))));
        assert!(matches!(certified(EC.0, EC.0), Err(Key(pem::Error::NoItemsFound))));
        assert!(matches!(certified(EC.0, &EC.1[..200]), Err(Key(_))));
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(certified(&[EC.0, no_certificate].concat(), EC.1), Err(TlsError::Pair(_))));
    }
}
