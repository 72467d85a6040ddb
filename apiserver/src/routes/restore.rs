//! POST on uncordon and remove-exclusion-from-lb.

use std::sync::Arc;

use api::wire::Reason;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{Head, admit_without_body};
use crate::app::App;
use crate::node::Disruption;
use crate::operations::restore;
use crate::refusal::Refusal;

/// Uncordons the caller's node, unless it was cordoned before its disruption.
pub async fn uncordon(State(app): State<Arc<App>>, head: Head, body: Body) -> Result<Response, Refusal> {
    undo(&app, &head, body, Disruption::Cordon).await
}

/// Lets load balancers use the caller's node again, unless it was excluded before its disruption.
pub async fn include(State(app): State<Arc<App>>, head: Head, body: Body) -> Result<Response, Refusal> {
    undo(&app, &head, body, Disruption::Exclusion).await
}

async fn undo(app: &App, head: &Head, body: Body, what: Disruption) -> Result<Response, Refusal> {
    let (identity, _admitted) = admit_without_body(app, head, body).await?;
    match restore(app, &identity, what).await {
        // An original asks too early, right after the boot, and once more when it is time.
        Err(refusal) if refusal.reason == Reason::NotGivingBack && !identity.ours => {}
        outcome => outcome?,
    }
    Ok(StatusCode::OK.into_response())
}
