//! Why it is not known who is calling.

use thiserror::Error;

use super::{Crowded, Denied};
use crate::caller::BadHeader;
use crate::cluster::ClusterError;
use crate::refusal::Refusal;

/// Why it is not known who is calling.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum NotIdentified {
    /// The headers do not say it.
    #[error(transparent)]
    Header(#[from] BadHeader),
    /// It is not an agent on the node it names.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There are too many in front of it.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// Kubernetes does not say it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl NotIdentified {
    /// Every word that [`Self::word`] has, for metrics.
    pub const WORDS: [&str; 17] = [
        "header",
        "malformed",
        "issuer",
        "audience",
        "expired",
        "not_yet_valid",
        "no_service_account",
        "service_account",
        "unbound",
        "ambiguous",
        "unknown",
        "pod_gone",
        "no_agent",
        "node",
        "stale_node",
        "crowded",
        "unavailable",
    ];

    /// One word for metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::Crowded(_) => "crowded",
            Self::Cluster(_) => "unavailable",
            Self::Denied(denied) => denied.word(),
        }
    }
}

impl From<NotIdentified> for Refusal {
    fn from(not: NotIdentified) -> Self {
        match not {
            NotIdentified::Header(bad) => bad.into(),
            NotIdentified::Denied(denied) => denied.into(),
            NotIdentified::Crowded(crowded) => crowded.into(),
            NotIdentified::Cluster(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_listed_for_the_metrics() {
        let denials = [
            Denied::Malformed,
            Denied::OtherIssuer,
            Denied::OtherAudience,
            Denied::Expired,
            Denied::NotYetValid,
            Denied::NoServiceAccount,
            Denied::OtherServiceAccount,
            Denied::Unbound,
            Denied::Ambiguous,
            Denied::Unauthenticated,
            Denied::PodGone,
            Denied::NotAnAgent,
            Denied::OtherNode,
            Denied::StaleNode,
        ];
        let mut words = vec![NotIdentified::from(BadHeader::Missing("a")).word()];
        words.extend(denials.map(|denied| NotIdentified::from(denied).word()));
        words.push(NotIdentified::from(Crowded).word());
        words.push(NotIdentified::from(ClusterError::Unavailable(String::new())).word());
        assert_eq!(words, NotIdentified::WORDS);
    }
}
