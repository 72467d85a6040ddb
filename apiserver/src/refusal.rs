//! Every answer that is not a success: a status code, and `{error, reason}` as JSON. With 429 and 503 goes the second after
//! which to ask again at the earliest.

use api::text;
use api::wire::{ErrorBody, Reason};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};

use crate::caller::BadHeader;
use crate::cluster::ClusterError;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: StatusCode,
    /// The word for programs.
    pub reason: Reason,
    /// The sentence for people: a printable line, whatever it repeats of agents, annotations and answers of Kubernetes.
    pub error: String,
}

/// Longest sentence of a refusal, in characters.
const MAX_SENTENCE: usize = 2048;

impl Refusal {
    /// A refusal with the status code that belongs to its reason.
    #[must_use]
    pub fn new(reason: Reason, error: impl Into<String>) -> Self {
        Self { status: status_of(reason), reason, error: text::line(&error.into(), MAX_SENTENCE) }
    }

    /// Too much is under way here.
    #[must_use]
    pub fn busy() -> Self {
        Self::new(Reason::Unavailable, "too many requests are under way; ask again")
    }

    /// There is no shadow of this Node.
    #[must_use]
    pub fn no_shadow(node: &str) -> Self {
        Self::new(Reason::NotFound, format!("node {node} has no shadow"))
    }
}

fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::BadRequest => StatusCode::BAD_REQUEST,
        Reason::Unauthenticated | Reason::StaleToken => StatusCode::UNAUTHORIZED,
        Reason::Forbidden => StatusCode::FORBIDDEN,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::Conflict | Reason::NoApproval | Reason::NotGivingBack | Reason::Vetoed | Reason::DrainTimedOut => {
            StatusCode::CONFLICT
        }
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Reason::Unavailable | Reason::Unknown => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: self.error, reason: self.reason };
        let mut response = (self.status, Json(body)).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<BadHeader> for Refusal {
    fn from(bad: BadHeader) -> Self {
        Self::new(Reason::BadRequest, bad.to_string())
    }
}

impl From<ClusterError> for Refusal {
    fn from(error: ClusterError) -> Self {
        let reason = match &error {
            ClusterError::NotFound(_) => Reason::NotFound,
            ClusterError::Conflict(_) | ClusterError::AlreadyExists(_) => Reason::Conflict,
            ClusterError::Invalid(_) => Reason::Invalid,
            ClusterError::Unavailable(_) => Reason::Unavailable,
        };
        Self::new(reason, error.to_string())
    }
}
