//! GET on the node's resource: the shadow as it is, or as soon as it is newer.

use std::sync::Arc;
use std::time::Duration;

use api::BottlerocketShadow;
use api::names::shadow_name;
use api::wire::{MAX_WAIT_SECONDS, ReadQuery, Reason};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use kube::ResourceExt;
use tokio::time::{Instant, sleep_until};

use super::{Head, admit_without_body, is_owned, present, shadow_answer};
use crate::app::App;
use crate::identity::Identity;
use crate::preferences;
use crate::refusal::Refusal;

/// How long a caller waits that names a resourceVersion and no time.
const DEFAULT_WAIT_SECONDS: u32 = 60;

/// Reads the caller's shadow, or waits until there is a newer one than the caller knows.
pub async fn read(State(app): State<Arc<App>>, uri: Uri, head: Head, body: Body) -> Result<Response, Refusal> {
    let (identity, _admitted) = admit_without_body(&app, &head, body).await?;
    let (known, wait) = question(&uri)?;
    if preferences::no_cache(&head.headers) {
        return Ok(shadow_answer(StatusCode::OK, present(&app, &identity).await?));
    }
    let _waiting = app.metrics.waiting();
    let until = Instant::now() + wait;
    let name = shadow_name(&identity.node);
    let waiter = app.caches.waiters().join(&name);
    loop {
        // Before the look: a change between the two must not be missed.
        let changed = waiter.changed();
        let shadow = current(&app, &identity).await?;
        if is_newer(&shadow, known) {
            return Ok(shadow_answer(StatusCode::OK, shadow));
        }
        let not_modified = Ok(StatusCode::NOT_MODIFIED.into_response());
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return not_modified,
            () = changed => {}
            () = sleep_until(until) => return not_modified,
        }
    }
}

/// The resourceVersion the caller knows, and how long it waits for a newer one.
fn question(uri: &Uri) -> Result<(Option<u64>, Duration), Refusal> {
    let bad = |error: String| Refusal::new(Reason::BadRequest, error);
    let Query(query) = Query::<ReadQuery>::try_from_uri(uri).map_err(|error| bad(error.body_text()))?;
    let known = query.resource_version.as_deref().map(str::parse).transpose();
    let known = known.map_err(|_| bad("resourceVersion is not a number".to_owned()))?;
    let seconds = query.timeout_seconds.unwrap_or(DEFAULT_WAIT_SECONDS).min(MAX_WAIT_SECONDS);
    Ok((known, Duration::from_secs(seconds.into())))
}

/// What the watch has brought; where that is nothing, what Kubernetes has.
async fn current(app: &App, identity: &Identity) -> Result<BottlerocketShadow, Refusal> {
    match app.caches.shadow(&identity.node).filter(|shadow| is_owned(shadow, identity)) {
        Some(shadow) => Ok(shadow),
        None => present(app, identity).await,
    }
}

/// resourceVersions are numbers that grow (guaranteed since Kubernetes 1.35, true before).
fn is_newer(shadow: &BottlerocketShadow, known: Option<u64>) -> bool {
    let version = shadow.resource_version().and_then(|version| version.parse::<u64>().ok());
    known.is_none_or(|known| version.is_some_and(|version| version > known))
}
