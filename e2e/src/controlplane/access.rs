//! Credentials for the programs under test: those of their service accounts, never an administrator's.

use std::path::PathBuf;

use anyhow::Context;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

use super::kubeconfig::{self, Login};
use super::pki::{self, write_private};
use super::plane::ControlPlane;

/// How long a token is valid, in seconds: twelve hours, longer than any demo is left alone.
const TOKEN_LIFETIME: i64 = 12 * 60 * 60;

impl ControlPlane {
    /// A kubeconfig for a program that runs as this service account, with a token in a file. The account has to exist; what it
    /// may do is what its roles say.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn service_account_kubeconfig(&self, namespace: &str, account: &str) -> anyhow::Result<PathBuf> {
        // A dot is in neither name.
        self.kubeconfig_by_way_of(self.server(), &format!("{namespace}.{account}"), namespace, account).await
    }

    /// The same for a program that reaches the API at another URL, such as that of a [`super::Gateway`]. `name` is the file's.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn kubeconfig_by_way_of(
        &self,
        server: &str,
        name: &str,
        namespace: &str,
        account: &str,
    ) -> anyhow::Result<PathBuf> {
        // For the API itself, which is what a request without audiences means.
        let token = request_token(self.client(), namespace, account, Vec::new(), None).await?;
        let folder = &self.site.folder;
        let token_file = folder.tokens().join(name);
        write_private(&token_file, &token)?;
        let path = folder.kubeconfig(name);
        kubeconfig::write(&path, server, &folder.pki().join("ca.crt"), &Login::TokenFile(&token_file))?;
        Ok(path)
    }

    /// A token as a pod finds it in a projected volume: its service account's, bound to the pod, for one audience.
    ///
    /// # Errors
    /// When there is no such account, or no pod of that name, uid and account.
    pub async fn token_for_pod(
        &self,
        namespace: &str,
        account: &str,
        pod: &str,
        pod_uid: &str,
        audience: &str,
    ) -> anyhow::Result<String> {
        token_for_pod(self.client(), namespace, account, (pod, pod_uid), audience).await
    }

    /// Issues a server certificate for DNS names and IP addresses, and writes it as `tls.crt`, `tls.key` (PKCS#8) and `ca.crt`
    /// into the folder it returns. Issued again under the same name it replaces the files, certificate last. The authority is
    /// the same for every name.
    ///
    /// # Errors
    /// When one of `names` is no DNS name.
    pub fn issue_server_certificate(&self, name: &str, names: &[&str]) -> anyhow::Result<PathBuf> {
        let identity =
            self.authority.server(name, names).with_context(|| format!("cannot issue a certificate for {name}"))?;
        let folder = self.site.folder.certificates().join(name);
        pki::write_server(&folder, &identity, &self.authority)?;
        Ok(folder)
    }

    /// As [`Self::issue_server_certificate`], and expired long ago.
    ///
    /// # Errors
    /// When one of `names` is no DNS name.
    pub fn issue_expired_certificate(&self, name: &str, names: &[&str]) -> anyhow::Result<PathBuf> {
        let identity = self.authority.expired_server(name, names)?;
        let folder = self.site.folder.certificates().join(name);
        pki::write_server(&folder, &identity, &self.authority)?;
        Ok(folder)
    }
}

/// As [`ControlPlane::token_for_pod`], for those that have a client alone; the pod is given by its name and uid.
pub(crate) async fn token_for_pod(
    client: Client,
    namespace: &str,
    account: &str,
    (pod, uid): (&str, &str),
    audience: &str,
) -> anyhow::Result<String> {
    let bound = BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: Some(pod.into()),
        uid: Some(uid.into()),
    };
    request_token(client, namespace, account, vec![audience.into()], Some(bound)).await
}

async fn request_token(
    client: Client,
    namespace: &str,
    account: &str,
    audiences: Vec<String>,
    bound: Option<BoundObjectReference>,
) -> anyhow::Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace);
    let expiration_seconds = Some(TOKEN_LIFETIME);
    let spec = TokenRequestSpec { audiences: Some(audiences), bound_object_ref: bound, expiration_seconds };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
    let answer = answer.with_context(|| format!("no token for service account {namespace}/{account}"))?;
    let token = answer.status.and_then(|status| status.token);
    token.with_context(|| format!("an empty token for {namespace}/{account}"))
}
