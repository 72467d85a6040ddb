//! What the apiserver answers, read.

use std::path::PathBuf;

use api::BottlerocketShadow;
use api::wire::{ErrorBody, Reason};
use bytes::Bytes;
use http::header::ETAG;
use http::{Response, StatusCode};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::http::NoAnswer;

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum CallError {
    /// The token is not there.
    #[error("cannot read {path}: {error}", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: String,
    },
    /// No answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// A refusal.
    #[error("{status}: {text}")]
    Refused {
        /// The status code.
        status: StatusCode,
        /// The word for programs.
        reason: Reason,
        /// The sentence for people.
        text: String,
    },
    /// An answer that is not what belongs there.
    #[error("the answer cannot be read: {0}")]
    Nonsense(String),
}

impl CallError {
    /// Whether the apiserver has answered, and answered this caller as one it knows.
    #[must_use]
    pub fn is_contact(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                status.is_client_error() && !matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            }
            Self::Token { .. } | Self::NoAnswer(_) | Self::Nonsense(_) => false,
        }
    }

    /// Whether the same request will never be answered otherwise.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if matches!(*status, StatusCode::BAD_REQUEST | StatusCode::GONE))
    }

    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { reason, .. } => Some(*reason),
            Self::Token { .. } | Self::NoAnswer(_) | Self::Nonsense(_) => None,
        }
    }
}

/// What a read brought.
#[derive(Debug)]
pub enum Found {
    /// The shadow.
    Shadow(Box<BottlerocketShadow>),
    /// Nothing newer than what the caller has.
    Unchanged,
    /// There is none.
    Missing,
}

/// What came of a report.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored, under this resourceVersion where the answer named it.
    As(Option<String>),
    /// The shadow is newer than what the report was computed from.
    Conflict,
    /// There is no shadow.
    Missing,
}

pub(super) fn refused(answer: &Response<Bytes>) -> CallError {
    let status = answer.status();
    let (reason, text) = match serde_json::from_slice::<ErrorBody>(answer.body()) {
        Ok(body) => (body.reason, body.error),
        Err(_) => (Reason::Unknown, String::from_utf8_lossy(answer.body()).into_owned()),
    };
    let text = text.chars().take(200).collect();
    CallError::Refused { status, reason, text }
}

pub(super) fn parse<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<T, CallError> {
    serde_json::from_slice(answer.body()).map_err(|error| CallError::Nonsense(error.to_string()))
}

/// The resourceVersion in an entity tag.
pub(super) fn tag(answer: &Response<Bytes>) -> Option<String> {
    let tag = answer.headers().get(ETAG)?.to_str().ok()?;
    let version = tag.trim_start_matches("W/").trim_matches('"');
    (!version.is_empty()).then(|| version.to_owned())
}
