//! What a TokenReview says of a token.

use std::collections::BTreeMap;

use api::names::TOKEN_AUDIENCE;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;

use super::Denied;

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const NODE_UID: &str = "authentication.kubernetes.io/node-uid";

/// Whom the cluster issued a token to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Namespace of the ServiceAccount, and so of the pod.
    pub namespace: String,
    /// The ServiceAccount.
    pub service_account: String,
    /// The pod it is bound to.
    pub pod_name: String,
    /// That pod's uid.
    pub pod_uid: String,
    /// The node that pod was on when the token was issued; Kubernetes says so since 1.30.
    pub node_name: Option<String>,
    /// That Node's uid then; likewise.
    pub node_uid: Option<String>,
}

impl Claims {
    /// Reads a review's status.
    ///
    /// # Errors
    /// When the cluster does not know the token, or it is not one that could be an agent's.
    pub fn read(status: &TokenReviewStatus) -> Result<Self, Denied> {
        if status.authenticated != Some(true) {
            return Err(Denied::Unauthenticated);
        }
        let audiences = status.audiences.as_deref().unwrap_or_default();
        if !audiences.iter().any(|audience| audience == TOKEN_AUDIENCE) {
            return Err(Denied::OtherAudience);
        }
        let user = status.user.as_ref().ok_or(Denied::NoServiceAccount)?;
        let username = user.username.as_deref().unwrap_or_default();
        let account = username.strip_prefix("system:serviceaccount:");
        let (namespace, service_account) =
            account.and_then(|account| account.split_once(':')).ok_or(Denied::NoServiceAccount)?;
        let extra = user.extra.as_ref();
        Ok(Self {
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            pod_name: only(extra, POD_NAME)?.ok_or(Denied::Unbound)?,
            pod_uid: only(extra, POD_UID)?.ok_or(Denied::Unbound)?,
            node_name: only(extra, NODE_NAME)?,
            node_uid: only(extra, NODE_UID)?,
        })
    }
}

/// The one value of a key; several are no identity.
fn only(extra: Option<&BTreeMap<String, Vec<String>>>, key: &str) -> Result<Option<String>, Denied> {
    match extra.and_then(|extra| extra.get(key)).map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some(value.clone())),
        Some(_) => Err(Denied::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::authentication::v1::UserInfo;

    use super::*;

    fn status(username: &str, extra: &[(&str, &[&str])]) -> TokenReviewStatus {
        let extra = extra
            .iter()
            .map(|(key, values)| ((*key).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
            .collect();
        TokenReviewStatus {
            audiences: Some(vec![TOKEN_AUDIENCE.to_owned()]),
            authenticated: Some(true),
            user: Some(UserInfo { username: Some(username.to_owned()), extra: Some(extra), ..UserInfo::default() }),
            ..TokenReviewStatus::default()
        }
    }

    const AGENT: &str = "system:serviceaccount:ns:agent";
    const BOUND: [(&str, &[&str]); 2] = [(POD_NAME, &["p"]), (POD_UID, &["u"])];

    #[test]
    fn a_bound_token_names_its_pod_and_on_newer_clusters_its_node() {
        let claims = Claims::read(&status(AGENT, &BOUND)).unwrap();
        assert_eq!((claims.namespace.as_str(), claims.service_account.as_str()), ("ns", "agent"));
        assert_eq!((claims.pod_name.as_str(), claims.pod_uid.as_str(), claims.node_uid), ("p", "u", None));
        let newer = [BOUND[0], BOUND[1], (NODE_NAME, &["a"]), (NODE_UID, &["n"])];
        let claims = Claims::read(&status(AGENT, &newer)).unwrap();
        assert_eq!((claims.node_name.as_deref(), claims.node_uid.as_deref()), (Some("a"), Some("n")));
    }

    #[test]
    fn what_is_not_clearly_a_bound_token_for_this_audience_is_denied() {
        let denied = |status: &TokenReviewStatus| Claims::read(status).unwrap_err();
        let mut unknown = status(AGENT, &BOUND);
        for authenticated in [Some(false), None] {
            unknown.authenticated = authenticated;
            assert_eq!(denied(&unknown), Denied::Unauthenticated);
        }
        let mut other = status(AGENT, &BOUND);
        for audiences in [Some(vec!["https://kubernetes.default.svc".to_owned()]), Some(vec![]), None] {
            other.audiences = audiences;
            assert_eq!(denied(&other), Denied::OtherAudience);
        }
        assert_eq!(denied(&status("kubernetes-admin", &BOUND)), Denied::NoServiceAccount);
        assert_eq!(denied(&status(AGENT, &[])), Denied::Unbound);
        assert_eq!(denied(&status(AGENT, &[(POD_NAME, &["p"])])), Denied::Unbound);
        assert_eq!(denied(&status(AGENT, &[(POD_NAME, &["p", "q"]), BOUND[1]])), Denied::Ambiguous);
    }
}
