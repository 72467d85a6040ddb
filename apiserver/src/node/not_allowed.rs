//! Why a node may not be disrupted.

use api::State;
use api::wire::Reason;
use jiff::Timestamp;
use thiserror::Error;

use crate::refusal::Refusal;

/// Why a node may not be disrupted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAllowed {
    /// The shadow is that of a Node which was there before.
    #[error("the shadow belongs to another Node of this name")]
    NotOwned,
    /// There is no approval.
    #[error("there is no approval: the node is asked to be {}", .0.as_str())]
    NoApproval(State),
    /// It has expired, or is about to.
    #[error("the approval has expired or is about to")]
    Expired,
    /// The Node is no longer the operator's.
    #[error("the node is not managed by the operator")]
    Unmanaged,
    /// The record on the Node is that of another disruption.
    #[error("the disruption of this approval has not begun")]
    NotBegun,
    /// An administrator cordoned the node before.
    #[error("somebody else has cordoned the node")]
    CordonedBefore,
    /// An administrator uncordoned it during the disruption.
    #[error("somebody uncordoned the node while it was disrupted")]
    Vetoed {
        /// When the drain began that this ends.
        drain: Option<Timestamp>,
    },
    /// The record or the shadow cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl NotAllowed {
    /// The word for programs.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Vetoed { .. } => Reason::Vetoed,
            Self::NotOwned
            | Self::NoApproval(_)
            | Self::Expired
            | Self::Unmanaged
            | Self::NotBegun
            | Self::CordonedBefore
            | Self::Unreadable(_) => Reason::NoApproval,
        }
    }
}

impl From<NotAllowed> for Refusal {
    fn from(not_allowed: NotAllowed) -> Self {
        Self::new(not_allowed.reason(), not_allowed.to_string())
    }
}
