//! Certificates that live as long as one control plane.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate and its private key (PKCS#8), as PEM.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A certificate authority that nobody outside one control plane trusts.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = parameters(name, None, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// The authority's own certificate, as PEM.
    pub(super) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A client of the API: Kubernetes takes the user from the common name and the group from the organization.
    pub(super) fn client(&self, user: &str, group: Option<&str>) -> anyhow::Result<Identity> {
        self.issue(parameters(user, group, &[])?, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A server with the given DNS names and IP addresses.
    pub(super) fn server(&self, name: &str, names: &[&str]) -> anyhow::Result<Identity> {
        self.issue(parameters(name, None, names)?, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// As [`Self::server`], and expired long ago.
    pub(super) fn expired_server(&self, name: &str, names: &[&str]) -> anyhow::Result<Identity> {
        let mut params = parameters(name, None, names)?;
        params.not_after = date_time_ymd(2021, 1, 1);
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn issue(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn parameters(name: &str, organization: Option<&str>, names: &[&str]) -> anyhow::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).context("not a DNS name")?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    // The keys are thrown away within the hour; the dates only have to include any clock a test runs under.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    Ok(params)
}

/// The key pair that signs service account tokens: private (PKCS#8) and public, as PEM.
pub(super) fn signing_key() -> anyhow::Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// Replaces a file as a whole, readable by its owner alone, so that a reader finds the old text or the new one.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    // Temporary files have mode 0600.
    let mut file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
    file.write_all(text.as_bytes())?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Writes `tls.crt`, `tls.key` and `ca.crt`, the names a Kubernetes TLS secret has when it is mounted.
pub(super) fn write_server(folder: &Path, identity: &Identity, authority: &Authority) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    write_private(&folder.join("ca.crt"), &authority.certificate())?;
    write_private(&folder.join("tls.key"), &identity.key)?;
    write_private(&folder.join("tls.crt"), &identity.certificate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_server_certificate_is_written_under_the_names_of_a_tls_secret() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("test").unwrap();
        let identity = authority.server("apiserver", &["apiserver.example.svc", "127.0.0.1"]).unwrap();
        write_server(folder.path(), &identity, &authority).unwrap();

        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("tls.crt"), identity.certificate);
        assert!(read("tls.key").starts_with("-----BEGIN PRIVATE KEY-----"), "not PKCS#8");
        assert_eq!(read("ca.crt"), authority.certificate());
        let mode = folder.path().join("tls.key").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let authority = Authority::new("test").unwrap();
        assert!(authority.server("apiserver", &["ä.example"]).is_err());
    }
}
