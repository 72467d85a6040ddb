//! Finding out who is calling: what is remembered of its token, or else a review by Kubernetes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::HeaderMap;
use runtime::server::Network;

use crate::app::App;
use crate::caller::Caller;
use crate::identity::{
    Claims, Confidence, Denied, Evidence, Identity, NotIdentified, PodIdentity, Remembered, TokenClaims, authorize,
    confidence,
};
use crate::refusal::Refusal;
use crate::token::Fingerprint;

/// Finds out who is calling from an address.
///
/// # Errors
/// 400 for its headers, 401 and 403 for what they say, 503 when it cannot be found out.
pub async fn authenticate(app: &App, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Identity, Refusal> {
    // Callers without one, which no server has, are one party.
    let network = Network::of(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
    let identified = identify(app, headers, network).await;
    identified.inspect_err(|not| app.metrics.not_identified(not)).map_err(Refusal::from)
}

async fn identify(app: &App, headers: &HeaderMap, address: Network) -> Result<Identity, NotIdentified> {
    let caller = Caller::read(headers)?;
    let claims = TokenClaims::read(&caller, &app.namespace)?;
    let fingerprint = caller.token.fingerprint();
    let evidence = match remembered(app, &caller, &fingerprint)? {
        Some(evidence) => evidence,
        None => reviewed(app, &caller, &claims, (fingerprint, address)).await?,
    };
    Ok(Identity { node_uid: evidence.node_uid.clone().unwrap_or_default(), ours: caller.is_ours(), node: caller.node })
}

/// What is remembered of a token, if it still proves what the caller says.
fn remembered(app: &App, caller: &Caller, token: &Fingerprint) -> Result<Option<Arc<Evidence>>, Denied> {
    let Some(known) = app.reviews.remembered(token)?.filter(Remembered::is_fresh) else {
        return Ok(None);
    };
    let evidence =
        Evidence { pod: app.caches.agent_pod(&known.evidence.claims.pod_name), ..Evidence::clone(&known.evidence) };
    // What is remembered may not fit: the pod is gone, the Node was replaced, or the caller lies. Kubernetes decides.
    Ok(authorize(&evidence, caller, &app.namespace).is_ok().then_some(known.evidence))
}

/// A new review, when it is the caller's turn.
async fn reviewed(
    app: &App,
    caller: &Caller,
    claims: &TokenClaims,
    (fingerprint, address): (Fingerprint, Network),
) -> Result<Arc<Evidence>, NotIdentified> {
    let confidence = confidence_in(app, caller, claims, &fingerprint)?;
    let _under_way = app.reviews.enter(fingerprint).await?;
    // Somebody else may have had it reviewed meanwhile.
    if let Some(evidence) = remembered(app, caller, &fingerprint)? {
        return Ok(evidence);
    }
    let permit = app.lanes.enter(confidence, address, caller.is_ours()).await?;
    match gather(app, caller).await {
        Ok(evidence) => {
            app.issuers.saw(&claims.issuer, app.now());
            Ok(app.reviews.remember(fingerprint, evidence))
        }
        Err(not) => {
            if let NotIdentified::Denied(denied) = not {
                app.reviews.deny(fingerprint, denied);
                permit.end_refused();
            }
            Err(not)
        }
    }
}

fn confidence_in(app: &App, caller: &Caller, claims: &TokenClaims, token: &Fingerprint) -> Result<Confidence, Denied> {
    let now = app.now();
    let foreign = (!app.issuers.knows(&claims.issuer, now)).then_some(Denied::OtherIssuer);
    let proven = app.reviews.remembered(token)?.is_some();
    let pod = app.caches.agent_pod(&claims.pod_name);
    confidence(claims, pod.as_ref(), &caller.node, proven, foreign.or_else(|| claims.untimely(now)))
}

/// Asks Kubernetes for all that [`authorize`] judges, and has it judged.
async fn gather(app: &App, caller: &Caller) -> Result<Evidence, NotIdentified> {
    let reviewed = app.cluster.review(&caller.token).await;
    app.metrics.reviewed(&reviewed);
    let claims = Claims::read(&reviewed?)?;
    // The watch may not have shown a pod that just started. Only for a token that is authentic is it looked up.
    let pod = match app.caches.agent_pod(&claims.pod_name) {
        Some(pod) if pod.uid == claims.pod_uid => Some(pod),
        _ => app.cluster.pod(&claims.pod_name).await?.map(|pod| PodIdentity::from(&pod)),
    };
    let node = pod.as_ref().and_then(|pod| pod.node.as_deref());
    let node_uid = match node {
        Some(node) => app.cluster.node_uid(node).await?,
        None => None,
    };
    let evidence = Evidence { claims, pod, node_uid };
    authorize(&evidence, caller, &app.namespace)?;
    Ok(evidence)
}
