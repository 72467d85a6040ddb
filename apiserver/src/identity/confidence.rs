//! How much speaks for a caller before its token is reviewed: it decides where the caller waits for that, and who is refused without.

use super::token_claims::TokenClaims;
use super::{Denied, PodIdentity};

/// How much speaks for a caller before Kubernetes is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidence {
    /// This very token has let its caller in lately. Nobody can make up another such token.
    Proven,
    /// The watch knows the pod that the token names, on the node that the caller names. Whoever knows its uid can say so.
    Known,
    /// The pod has just started, or it is made up; or the pod is known, and something else is doubtful.
    Unknown,
}

/// The confidence in a caller on `node`, whose token claims the `pod` of that name which the watch has brought. `doubt` is what
/// is doubtful about the token's issuer or times.
///
/// A doubt alone refuses nobody whose pod is known: a cluster changes its issuer, and clocks may be wrong, ours as well.
///
/// # Errors
/// When no review would let the caller in.
pub fn confidence(
    claims: &TokenClaims,
    pod: Option<&PodIdentity>,
    node: &str,
    proven: bool,
    doubt: Option<Denied>,
) -> Result<Confidence, Denied> {
    let pod = pod.filter(|pod| pod.uid == claims.pod_uid);
    // A pod's node and end are for good, so the watch cannot be behind.
    let on = pod.and_then(|pod| pod.node.as_deref());
    if on.is_some_and(|on| on != node) {
        return Err(Denied::OtherNode);
    }
    if pod.is_some_and(|pod| pod.finished) {
        return Err(Denied::PodGone);
    }
    match (proven, on, doubt) {
        (true, _, _) => Ok(Confidence::Proven),
        (false, Some(_), None) => Ok(Confidence::Known),
        (false, Some(_), Some(_)) | (false, None, None) => Ok(Confidence::Unknown),
        (false, None, Some(doubt)) => Err(doubt),
    }
}
