//! Why a node does not move.

use api::HoldReason;

/// Why a node does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The typed reason.
    pub reason: HoldReason,
    /// One sentence. It must not carry numbers that change without a change for this node: each new text is a write.
    pub message: String,
}

impl Hold {
    pub(super) fn new(reason: HoldReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
