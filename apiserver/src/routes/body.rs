//! Reading what a request carries, which comes after who sent it.

use api::wire::Reason;
use axum::body::{Body, Bytes, to_bytes};
use http_body_util::{BodyExt, LengthLimitError};

use super::{MAX_BODY, too_large};
use crate::refusal::Refusal;

/// The whole body.
///
/// # Errors
/// When it is larger than [`MAX_BODY`], or does not arrive.
pub(super) async fn read(body: Body) -> Result<Bytes, Refusal> {
    to_bytes(body, MAX_BODY).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        if cause.is_some_and(|cause| cause.is::<LengthLimitError>()) { too_large() } else { did_not_arrive() }
    })
}

/// Reads a body away that is not wanted, before anything is done. That the caller has hung up, which is to end what it asked
/// for, is seen over HTTP/1.1 only once all it was to send has been read.
///
/// # Errors
/// As [`read`].
pub(super) async fn discard(mut body: Body) -> Result<(), Refusal> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| did_not_arrive())?;
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > MAX_BODY {
            return Err(too_large());
        }
    }
    Ok(())
}

fn did_not_arrive() -> Refusal {
    Refusal::new(Reason::BadRequest, "the body did not arrive")
}
