//! POST on the node's resource: the shadow is created, once.

use std::sync::Arc;

use api::wire::Reason;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::{Head, admit_without_body, is_owned, shadow_answer};
use crate::app::App;
use crate::cluster::ClusterError;
use crate::identity::Identity;
use crate::operations::read_node;
use crate::refusal::Refusal;
use crate::shadow::fresh;

/// Creates the caller's shadow, or answers with the one there is. What the body says is not looked at: who calls is known.
pub async fn create(State(app): State<Arc<App>>, head: Head, body: Body) -> Result<Response, Refusal> {
    let (identity, _admitted) = admit_without_body(&app, &head, body).await?;
    let found = read_node(&app, &identity).await?;
    if let Some(existing) = existing(&app, &identity).await? {
        return Ok(existing);
    }
    match app.cluster.create_shadow(&fresh(&found.id, found.pin.as_ref())).await {
        Ok(created) => {
            tracing::info!(node = identity.node, "shadow created");
            Ok(shadow_answer(StatusCode::CREATED, created))
        }
        // Somebody was faster.
        Err(ClusterError::AlreadyExists(_)) => {
            let existing = existing(&app, &identity).await?;
            existing.ok_or_else(|| Refusal::no_shadow(&identity.node))
        }
        Err(error) => Err(error.into()),
    }
}

async fn existing(app: &App, identity: &Identity) -> Result<Option<Response>, Refusal> {
    match app.cluster.shadow(&identity.node).await? {
        None => Ok(None),
        Some(shadow) if is_owned(&shadow, identity) => Ok(Some(shadow_answer(StatusCode::OK, shadow))),
        // The garbage collector removes it.
        Some(_) => {
            let error = format!("the shadow of the Node that was called {} before is still there", identity.node);
            Err(Refusal::new(Reason::Conflict, error))
        }
    }
}
