//! Reading what a request carries.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use api::wire::Reason;

use super::{MAX_BODY, too_large};
use crate::refusal::Refusal;

/// The whole body.
///
/// # Errors
/// When it is larger than [`MAX_BODY`], or does not arrive.
pub(super) async fn read(body: Body) -> Result<Bytes, Refusal> {
    to_bytes(body, MAX_BODY).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        if cause.is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>()) {
            too_large()
        } else {
            Refusal::new(Reason::BadRequest, "the body did not arrive")
        }
    })
}

/// For routes that want no body: reads it away before anything is done. That the caller has hung up, which is to end what it
/// asked for, is seen over HTTP/1.1 only once all it was to send has been read.
pub async fn without_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match read(body).await {
        Ok(_) => next.run(Request::from_parts(head, Body::empty())).await,
        Err(refusal) => refusal.into_response(),
    }
}
