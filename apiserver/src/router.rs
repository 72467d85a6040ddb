//! The routes, and what holds for all of them.

use std::sync::Arc;

use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB, NODE_RESOURCE, PING, REMOVE_EXCLUSION_FROM_LB, Reason, UNCORDON};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_LENGTH;

use crate::app::App;
use crate::refusal::Refusal;
use crate::routes::{self, MAX_BODY};

/// Every route, for metrics.
const ROUTES: [&str; 6] = [NODE_RESOURCE, CORDON_AND_DRAIN, UNCORDON, EXCLUDE_FROM_LB, REMOVE_EXCLUSION_FROM_LB, PING];

/// What agents and probes can ask.
pub fn router(app: Arc<App>) -> Router {
    let resource = get(routes::read).post(routes::create).put(routes::report);
    Router::new()
        .route(NODE_RESOURCE, resource)
        .route(CORDON_AND_DRAIN, post(routes::cordon_and_drain))
        .route(UNCORDON, post(routes::uncordon))
        .route(EXCLUDE_FROM_LB, post(routes::exclude))
        .route(REMOVE_EXCLUSION_FROM_LB, post(routes::include))
        .route(PING, get(async || "pong"))
        .fallback(async || Refusal::new(Reason::NotFound, "there is no such path"))
        .method_not_allowed_fallback(async || {
            Refusal::new(Reason::MethodNotAllowed, "there is no such method on this path")
        })
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .with_state(app)
}

/// Refuses what is too large by its own word, and counts.
async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let route = ROUTES.into_iter().find(|route| *route == path).unwrap_or("other");
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let too_large = length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > MAX_BODY as u64);
    let response = if too_large { routes::too_large().into_response() } else { next.run(request).await };
    app.metrics.answered(route, response.status().as_u16());
    response
}
