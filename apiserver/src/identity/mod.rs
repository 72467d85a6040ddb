//! Proof of identity: a token is reviewed by Kubernetes, and the pod it is bound to must be the agent on the node that the
//! request names.
//!
//! ```text
//! headers ─► Caller ─► Reviews (remembered?) ─► TokenReview, pod, Node ─► Evidence ─► authorize ─► Identity
//! ```

mod authorize;
mod claims;
mod reviews;

use std::sync::Arc;

use http::HeaderMap;
use tokio::time::timeout;

pub use authorize::{Denied, Evidence, PodIdentity, authorize};
pub use claims::Claims;
pub use reviews::{CAPACITY, Remembered, Reviews, TTL};

use crate::app::App;
use crate::caller::Caller;
use crate::cluster::DEADLINE;
use crate::refusal::Refusal;

/// A caller whose word was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The node it runs on.
    pub node: String,
    /// That Node's uid, as it was when the token was reviewed.
    pub node_uid: String,
    /// Whether it is an agent of ours.
    pub ours: bool,
}

/// Finds out who is calling.
///
/// # Errors
/// 400 for its headers, 401 and 403 for what they say, 503 when it cannot be found out.
pub async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Identity, Refusal> {
    let caller = Caller::read(headers)?;
    let fingerprint = caller.token.fingerprint();
    let slot = app.reviews.slot(fingerprint).ok_or_else(Refusal::busy)?;
    let outcome = proven(app, &caller, &slot).await;
    if outcome.is_err() {
        app.reviews.forget(&fingerprint, slot);
    }
    let evidence = outcome?;
    Ok(Identity { node_uid: evidence.node_uid.clone().unwrap_or_default(), ours: caller.is_ours(), node: caller.node })
}

/// What is remembered of a token, if it still proves what the caller says; else a new review.
async fn proven(
    app: &App,
    caller: &Caller,
    slot: &tokio::sync::Mutex<Option<Remembered>>,
) -> Result<Arc<Evidence>, Refusal> {
    // Whoever is before us in the queue is bounded by the deadlines below, several of them by this one.
    let mut remembered = timeout(2 * DEADLINE, slot.lock()).await.map_err(|_| Refusal::busy())?;
    if let Some(known) = remembered.as_ref().filter(|known| known.is_fresh()) {
        let evidence =
            Evidence { pod: app.caches.agent_pod(&known.evidence.claims.pod_name), ..Evidence::clone(&known.evidence) };
        if authorize(&evidence, caller, &app.namespace).is_ok() {
            return Ok(known.evidence.clone());
        }
    }
    // What is remembered does not fit: the pod is gone, the Node was replaced, or the caller lies. Kubernetes decides.
    *remembered = None;
    let evidence = gather(app, caller).await?;
    authorize(&evidence, caller, &app.namespace)?;
    let fresh = Remembered::now(evidence);
    let evidence = fresh.evidence.clone();
    *remembered = Some(fresh);
    Ok(evidence)
}

/// Asks Kubernetes for all that [`authorize`] judges.
async fn gather(app: &App, caller: &Caller) -> Result<Evidence, Refusal> {
    let permit = timeout(DEADLINE, app.review_permits.acquire()).await;
    let _permit = permit.map_err(|_| Refusal::busy())?;
    let reviewed = app.cluster.review(&caller.token).await;
    app.metrics.reviewed(&reviewed);
    let claims = Claims::read(&reviewed?)?;
    // The watch may not have shown a pod that just started.
    let pod = match app.caches.agent_pod(&claims.pod_name) {
        Some(pod) if pod.uid == claims.pod_uid => Some(pod),
        _ => app.cluster.pod(&claims.pod_name).await?.map(|pod| PodIdentity::from(&pod)),
    };
    let node = pod.as_ref().and_then(|pod| pod.node.as_deref());
    let node_uid = match node {
        Some(node) => app.cluster.node_uid(node).await?,
        None => None,
    };
    Ok(Evidence { claims, pod, node_uid })
}
