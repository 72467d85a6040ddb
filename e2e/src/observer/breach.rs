//! What the observer finds.

use std::fmt;

use jiff::Timestamp;

/// The rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A start or an approval raised its count above the limit in force.
    Limit,
    /// A start or an approval under a policy that does not apply, is not accepted or is paused, or on a held node.
    Permission,
    /// An approval was given outside the policy's schedule or outlasts it, or an original agent was started outside it.
    Window,
    /// A start or an approval for a version that too many of the policy's nodes have failed on.
    Halt,
    /// A version was started, or called promoted, before it was.
    Promotion,
    /// A record was written on a Node, or it was cordoned or taken out of the load balancers without an approval for it.
    Beginning,
    /// A node was rebooted before its drain had ended, without an approval, or into another version.
    Reboot,
    /// A Node was not restored to what it was before, or at the wrong time.
    Restore,
    /// A pod was deleted past its PodDisruptionBudget.
    Budget,
}

impl Rule {
    /// What it is about, in two words at most.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Permission => "permission",
            Self::Window => "window",
            Self::Halt => "halt",
            Self::Promotion => "promotion",
            Self::Beginning => "beginning",
            Self::Reboot => "reboot",
            Self::Restore => "restore",
            Self::Budget => "budget",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// When it was seen.
    pub at: Timestamp,
    /// The rule.
    pub rule: Rule,
    /// The objects it is about, as `kind/name`.
    pub objects: Vec<String>,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] {}: {}", self.at, self.rule, self.objects.join(" "), self.message)
    }
}
