//! PUT on the node's resource: the agent's report becomes the shadow's status.

use std::sync::Arc;

use api::shadow::check;
use api::wire::Reason;
use api::{BottlerocketShadow, BottlerocketShadowStatus};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use kube::ResourceExt;
use serde_json::error::Category;

use super::{Head, admit, body, is_owned, present, tagged};
use crate::app::App;
use crate::cluster::ClusterError;
use crate::identity::Identity;
use crate::node::{LockRecord, lock_record};
use crate::operations::record_lock;
use crate::preferences;
use crate::refusal::Refusal;
use crate::shadow::patch;

/// How often an unconditional report is tried again because the shadow was written in between.
const ATTEMPTS: usize = 10;

/// Stores the caller's report.
pub async fn report(State(app): State<Arc<App>>, head: Head, body: Body) -> Result<Response, Refusal> {
    let (identity, _admitted) = admit(&app, &head).await?;
    let expected = preferences::if_match(&head.headers)?;
    let status = parse(&head.headers, body).await?;
    let known = known(&app, &identity, expected.as_deref()).await?;
    let record = lock_record(&status, known.pin().as_ref());
    if let LockRecord::Before(pin) = &record {
        if let Some(version) = &expected {
            // The watch may lag behind as far as a late duplicate does, whose record nobody would take away again.
            unmoved(&app, &identity, version).await?;
        }
        record_lock(&app, &identity, Some(pin)).await?;
    }
    let stored = match expected {
        Some(version) => app.cluster.patch_status(&identity.node, &patch(&status, &version)).await?,
        None => unconditional(&app, &identity, &status).await?,
    };
    if record == LockRecord::After
        && let Err(refusal) = record_lock(&app, &identity, None).await
    {
        // The report is stored, which is what was asked for; the next pin writes over what is left.
        tracing::warn!(node = identity.node, error = refusal.error, "a record of the version-lock is left behind");
    }
    Ok(tagged(Json(status).into_response(), &stored))
}

/// The shadow that a report follows on: from the cache, unless the report is conditional on another than that.
async fn known(app: &App, identity: &Identity, expected: Option<&str>) -> Result<BottlerocketShadow, Refusal> {
    let cached = app.caches.shadow(&identity.node).filter(|shadow| is_owned(shadow, identity));
    match (cached, expected) {
        (Some(shadow), None) => Ok(shadow),
        (Some(shadow), Some(version)) if shadow.metadata.resource_version.as_deref() == Some(version) => Ok(shadow),
        (_, Some(version)) => unmoved(app, identity, version).await,
        (None, None) => present(app, identity).await,
    }
}

/// The caller's shadow as Kubernetes has it now, which must still be of this resourceVersion.
async fn unmoved(app: &App, identity: &Identity, version: &str) -> Result<BottlerocketShadow, Refusal> {
    let shadow = present(app, identity).await?;
    if shadow.metadata.resource_version.as_deref() == Some(version) {
        return Ok(shadow);
    }
    let error = format!("the shadow of node {} is no longer the one that the report is conditional on", identity.node);
    Err(Refusal::new(Reason::Conflict, error))
}

/// The last one wins, as with the original. Each try is conditional nevertheless, so that it can only reach the shadow of
/// this very Node.
async fn unconditional(
    app: &App,
    identity: &Identity,
    status: &BottlerocketShadowStatus,
) -> Result<BottlerocketShadow, Refusal> {
    for _ in 0..ATTEMPTS {
        let version = present(app, identity).await?.resource_version().unwrap_or_default();
        match app.cluster.patch_status(&identity.node, &patch(status, &version)).await {
            Err(ClusterError::Conflict(_)) => {}
            other => return Ok(other?),
        }
    }
    let error = format!("the shadow of node {} is being written all the time", identity.node);
    Err(Refusal::new(Reason::Unavailable, error))
}

async fn parse(headers: &HeaderMap, body: Body) -> Result<BottlerocketShadowStatus, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(Reason::UnsupportedMediaType, "the body must be application/json"));
    }
    let bytes = body::read(body).await?;
    let status: BottlerocketShadowStatus = serde_json::from_slice(&bytes).map_err(|error| {
        let reason = match error.classify() {
            Category::Data => Reason::Invalid,
            Category::Syntax | Category::Eof | Category::Io => Reason::BadRequest,
        };
        Refusal::new(reason, format!("the body cannot be read: {error}"))
    })?;
    check(&status).map_err(|error| Refusal::new(Reason::Invalid, error.to_string()))?;
    Ok(status)
}
