//! Whether a caller is the agent on the node it names.

use api::names::{AGENT_COMPONENT, AGENT_SERVICE_ACCOUNT, COMPONENT_LABEL};
use api::wire::Reason;
use k8s_openapi::api::core::v1::Pod;
use thiserror::Error;

use super::Claims;
use crate::caller::Caller;
use crate::refusal::Refusal;

/// What is known of the pod a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodIdentity {
    /// Its uid.
    pub uid: String,
    /// The node it runs on.
    pub node: Option<String>,
    /// The value of its component label.
    pub component: Option<String>,
    /// Its ServiceAccount.
    pub service_account: Option<String>,
    /// Whether its containers have ended for good.
    pub finished: bool,
}

impl From<&Pod> for PodIdentity {
    fn from(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let labels = pod.metadata.labels.as_ref();
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        Self {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            node: spec.and_then(|spec| spec.node_name.clone()),
            component: labels.and_then(|labels| labels.get(COMPONENT_LABEL).cloned()),
            service_account: spec.and_then(|spec| spec.service_account_name.clone()),
            finished: matches!(phase, Some("Succeeded" | "Failed")),
        }
    }
}

/// All that was found out about a token, gathered before anything is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What the review says.
    pub claims: Claims,
    /// The pod of the claimed name in our namespace, if there is one.
    pub pod: Option<PodIdentity>,
    /// The uid of the Node that pod is on, if there is such a Node.
    pub node_uid: Option<String>,
}

/// Why a caller is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denied {
    /// The cluster does not know the token.
    #[error("the token is not known to the cluster, or has expired")]
    Unauthenticated,
    /// It is not in the form of a token that is bound to a pod.
    #[error("the token is malformed")]
    Malformed,
    /// Nobody in this cluster issues such tokens.
    #[error("the token's issuer is not known")]
    OtherIssuer,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It was issued for somebody else.
    #[error("the token was issued for another audience")]
    OtherAudience,
    /// It is not a ServiceAccount's.
    #[error("the token is not that of a ServiceAccount")]
    NoServiceAccount,
    /// It is bound to no pod.
    #[error("the token is bound to no pod")]
    Unbound,
    /// It names several pods or nodes.
    #[error("the token names several pods or nodes")]
    Ambiguous,
    /// It is that of another ServiceAccount.
    #[error("the token is not that of the agents' ServiceAccount")]
    OtherServiceAccount,
    /// There is no such pod any more.
    #[error("the token's pod is gone")]
    PodGone,
    /// The pod is not an agent.
    #[error("the token's pod is not an agent")]
    NotAnAgent,
    /// The agent is on another node.
    #[error("the token's pod is not on the node that the request names")]
    OtherNode,
    /// The Node was created anew since.
    #[error("the request speaks of a Node that was replaced by another of the same name")]
    StaleNode,
}

impl Denied {
    /// The word for programs.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Unauthenticated
            | Self::Malformed
            | Self::OtherIssuer
            | Self::Expired
            | Self::NotYetValid
            | Self::OtherAudience => Reason::Unauthenticated,
            Self::StaleNode => Reason::StaleToken,
            Self::NoServiceAccount
            | Self::Unbound
            | Self::Ambiguous
            | Self::OtherServiceAccount
            | Self::PodGone
            | Self::NotAnAgent
            | Self::OtherNode => Reason::Forbidden,
        }
    }
}

impl Denied {
    /// One word for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unknown",
            Self::Malformed => "malformed",
            Self::OtherIssuer => "issuer",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::OtherAudience => "audience",
            Self::NoServiceAccount => "no_service_account",
            Self::Unbound => "unbound",
            Self::Ambiguous => "ambiguous",
            Self::OtherServiceAccount => "service_account",
            Self::PodGone => "pod_gone",
            Self::NotAnAgent => "no_agent",
            Self::OtherNode => "node",
            Self::StaleNode => "stale_node",
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::new(denied.reason(), denied.to_string())
    }
}

/// Whether `caller` is the agent on the node it names, in the operator's `namespace`.
///
/// # Errors
/// The first thing that is wrong.
pub fn authorize(evidence: &Evidence, caller: &Caller, namespace: &str) -> Result<(), Denied> {
    let claims = &evidence.claims;
    if claims.namespace != namespace || claims.service_account != AGENT_SERVICE_ACCOUNT {
        return Err(Denied::OtherServiceAccount);
    }
    let pod = evidence.pod.as_ref().ok_or(Denied::PodGone)?;
    if pod.uid != claims.pod_uid || pod.finished {
        return Err(Denied::PodGone);
    }
    let is_agent = pod.component.as_deref() == Some(AGENT_COMPONENT)
        && pod.service_account.as_deref() == Some(AGENT_SERVICE_ACCOUNT);
    if !is_agent {
        return Err(Denied::NotAnAgent);
    }
    let claims_other_node = claims.node_name.as_ref().is_some_and(|name| *name != caller.node);
    if pod.node.as_ref() != Some(&caller.node) || claims_other_node {
        return Err(Denied::OtherNode);
    }
    let node_uid = evidence.node_uid.as_ref().ok_or(Denied::StaleNode)?;
    let said = [&claims.node_uid, &caller.node_uid];
    if said.into_iter().flatten().any(|uid| uid != node_uid) {
        return Err(Denied::StaleNode);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::samples::{NAMESPACE, evidence};
    use super::*;
    use crate::token::Token;

    fn caller() -> Caller {
        Caller { node: "a".to_owned(), node_uid: None, token: Token::new("t".to_owned()), agent_version: None }
    }

    fn verdict(spoil: impl FnOnce(&mut Evidence, &mut Caller)) -> Result<(), Denied> {
        let (mut evidence, mut caller) = (evidence(), caller());
        spoil(&mut evidence, &mut caller);
        authorize(&evidence, &caller, NAMESPACE)
    }

    fn pod(spoil: impl FnOnce(&mut PodIdentity)) -> Result<(), Denied> {
        verdict(|evidence, _| spoil(evidence.pod.as_mut().unwrap()))
    }

    #[test]
    fn the_agent_on_the_node_is_let_in_with_and_without_what_only_newer_clusters_say() {
        assert_eq!(verdict(|_, _| {}), Ok(()));
        assert_eq!(verdict(|_, caller| caller.node_uid = Some("n".to_owned())), Ok(()));
        assert_eq!(
            verdict(|evidence, _| {
                evidence.claims.node_name = None;
                evidence.claims.node_uid = None;
            }),
            Ok(())
        );
    }

    #[test]
    fn another_service_account_is_refused() {
        let refused = Err(Denied::OtherServiceAccount);
        assert_eq!(verdict(|e, _| e.claims.namespace = "other".to_owned()), refused);
        assert_eq!(verdict(|e, _| e.claims.service_account = "default".to_owned()), refused);
    }

    #[test]
    fn a_pod_that_is_gone_replaced_or_finished_is_refused() {
        let refused = Err(Denied::PodGone);
        assert_eq!(verdict(|e, _| e.pod = None), refused);
        assert_eq!(pod(|pod| pod.uid = "another".to_owned()), refused);
        assert_eq!(pod(|pod| pod.finished = true), refused);
    }

    #[test]
    fn a_pod_that_is_no_agent_is_refused() {
        let refused = Err(Denied::NotAnAgent);
        assert_eq!(pod(|pod| pod.component = None), refused);
        assert_eq!(pod(|pod| pod.component = Some("apiserver".to_owned())), refused);
        assert_eq!(pod(|pod| pod.service_account = Some("default".to_owned())), refused);
    }

    #[test]
    fn the_agent_of_another_node_is_refused() {
        let refused = Err(Denied::OtherNode);
        assert_eq!(verdict(|_, caller| caller.node = "b".to_owned()), refused);
        assert_eq!(pod(|pod| pod.node = Some("b".to_owned())), refused);
        assert_eq!(pod(|pod| pod.node = None), refused);
        assert_eq!(verdict(|e, _| e.claims.node_name = Some("b".to_owned())), refused);
    }

    #[test]
    fn a_node_created_anew_makes_the_request_stale() {
        let refused = Err(Denied::StaleNode);
        assert_eq!(verdict(|e, _| e.node_uid = Some("newer".to_owned())), refused);
        assert_eq!(verdict(|e, _| e.node_uid = None), refused);
        assert_eq!(verdict(|e, _| e.claims.node_uid = Some("older".to_owned())), refused);
        assert_eq!(verdict(|_, caller| caller.node_uid = Some("older".to_owned())), refused);
        assert_eq!(Denied::StaleNode.reason(), Reason::StaleToken);
    }
}
