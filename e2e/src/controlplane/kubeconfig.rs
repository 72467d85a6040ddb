//! Kubeconfig files. They are written as JSON, which is YAML too.

use std::path::Path;

use serde_json::{Value, json};

use super::pki::{Identity, write_private};

/// Who a kubeconfig logs in as.
pub(super) enum Login<'a> {
    Certificate(&'a Identity),
    /// A file with a bearer token, read again whenever it may have changed.
    TokenFile(&'a Path),
}

/// Writes a kubeconfig that has one cluster, one user and one context.
pub(super) fn write(path: &Path, server: &str, authority: &Path, login: &Login<'_>) -> anyhow::Result<()> {
    write_private(path, &format!("{:#}\n", kubeconfig(server, authority, login)))
}

fn kubeconfig(server: &str, authority: &Path, login: &Login<'_>) -> Value {
    let user = match login {
        // PEM in base64, as Kubernetes has it everywhere.
        Login::Certificate(identity) => json!({
            "client-certificate-data": base64(&identity.certificate),
            "client-key-data": base64(&identity.key),
        }),
        Login::TokenFile(path) => json!({ "tokenFile": path }),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "brupop", "cluster": { "server": server, "certificate-authority": authority } }],
        "users": [{ "name": "brupop", "user": user }],
        "contexts": [{ "name": "brupop", "context": { "cluster": "brupop", "user": "brupop" } }],
        "current-context": "brupop",
    })
}

/// `ByteString` is the base64 that Kubernetes' own types are serialized with.
fn base64(text: &str) -> k8s_openapi::ByteString {
    k8s_openapi::ByteString(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kube_reads_what_is_written() {
        let identity = Identity { certificate: "certificate".into(), key: "key".into() };
        let login = Login::Certificate(&identity);
        let text = kubeconfig("https://127.0.0.1:6443", Path::new("/pki/ca.crt"), &login).to_string();
        let read = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        let user = read.auth_infos[0].auth_info.as_ref().unwrap();
        assert_eq!(user.client_certificate_data.as_deref(), Some("Y2VydGlmaWNhdGU="));
        let cluster = read.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
        assert_eq!(cluster.certificate_authority.as_deref(), Some("/pki/ca.crt"));
        assert_eq!(read.current_context.as_deref(), Some("brupop"));
    }

    #[test]
    fn a_token_stays_in_its_file() {
        let login = Login::TokenFile(Path::new("/tokens/agent"));
        let text = kubeconfig("https://127.0.0.1:6443", Path::new("/pki/ca.crt"), &login).to_string();
        let read = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        let user = read.auth_infos[0].auth_info.as_ref().unwrap();
        assert_eq!(user.token_file.as_deref(), Some("/tokens/agent"));
    }
}
