//! What counts as healthy after the reboot.

pub(crate) mod path;

use jiff::SignedDuration;

pub use path::{InvalidNodePath, NodePath, Unsupported};

/// How long a node has until it is healthy where a policy does not say.
pub const DEFAULT_TIMEOUT: SignedDuration = SignedDuration::from_mins(30);

/// What counts as healthy after the reboot.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthGate {
    /// For how long the node must have been Ready.
    pub min_ready: SignedDuration,
    /// How long the node has until it is healthy.
    pub timeout: SignedDuration,
    /// Questions that must all be answered as expected.
    pub checks: Vec<NodeCheck>,
}

impl Default for HealthGate {
    /// Ready is healthy.
    fn default() -> Self {
        Self { min_ready: SignedDuration::ZERO, timeout: DEFAULT_TIMEOUT, checks: Vec::new() }
    }
}

/// One question to the Node object.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeCheck {
    /// Shown to people.
    pub name: String,
    /// The question.
    pub path: NodePath,
    /// Every match must be one of these, and there must be a match.
    pub expect: Vec<String>,
}

impl NodeCheck {
    /// Whether the answers of `node` are those expected.
    #[must_use]
    pub fn passes(&self, node: &serde_json::Value) -> bool {
        let answers = self.path.answers(node);
        !answers.is_empty() && answers.iter().all(|answer| self.expect.contains(answer))
    }
}
