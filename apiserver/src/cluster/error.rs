//! What the Kubernetes API says when it does not do what it was asked.

use thiserror::Error;

/// Why a request was not fulfilled.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ClusterError {
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// The object is no longer what the write was based on.
    #[error("{0}")]
    Conflict(String),
    /// There is one of that name already.
    #[error("{0}")]
    AlreadyExists(String),
    /// The API server does not accept the object.
    #[error("{0}")]
    Invalid(String),
    /// No answer, or one that is no answer to the question. After a write it is not known what became of it.
    #[error("{0}")]
    Unavailable(String),
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else {
            return Self::Unavailable(format!("kubernetes: {error}"));
        };
        let text = format!("kubernetes: {}", status.message);
        match status.code {
            404 => Self::NotFound(text),
            409 if status.is_already_exists() => Self::AlreadyExists(text),
            409 => Self::Conflict(text),
            422 => Self::Invalid(text),
            _ => Self::Unavailable(text),
        }
    }
}
