//! What a request gets back, and the shape of the real server's answers.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

/// What a request gets back.
#[derive(Debug)]
pub enum Reply {
    /// An HTTP answer.
    Answer(Response<Bytes>),
    /// 200 and a body of this many bytes, none of them JSON.
    Huge(u64),
    /// Nothing: the connection stays open.
    Silence,
    /// The connection is closed.
    HangUp,
}

impl Reply {
    /// The answer, if it is one.
    #[must_use]
    pub fn answer(self) -> Option<Response<Bytes>> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Huge(_) | Self::Silence | Self::HangUp => None,
        }
    }
}

/// 204.
pub(super) fn no_content() -> Response<Bytes> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// An unknown path or a method it does not have: always 404 and no body, never 405.
pub(super) fn unknown() -> Response<Bytes> {
    bare(StatusCode::NOT_FOUND, Bytes::new())
}

/// An error of the server's own: text without a content type.
pub(super) fn bare(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    with_body(status, None, body.into())
}

/// An error of the JSON extractor: the one text that has a content type.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    with_body(status, Some("text/plain; charset=utf-8"), body.into())
}

/// JSON.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    with_body(status, Some("application/json"), body.into())
}

/// 200 with `value` as compact JSON.
pub(super) fn ok_json(value: &impl serde::Serialize) -> Response<Bytes> {
    match serde_json::to_vec(value) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => bare(StatusCode::INTERNAL_SERVER_ERROR, format!("Unable to serialize response: {error}")),
    }
}

/// The length comes before the type, as the real server sends them.
fn with_body(status: StatusCode, content_type: Option<&'static str>, body: Bytes) -> Response<Bytes> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, length);
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}
