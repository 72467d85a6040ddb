//! What the judge is fed with.

use jiff::Timestamp;
use semver::Version;

use super::facts::{BudgetFacts, NodeFacts, PodFacts, PolicyFacts, ShadowFacts};

/// What happened to an object.
#[derive(Debug, Clone)]
pub enum Change<T> {
    /// It was created or written.
    Applied(T),
    /// It is gone; this is how it was last.
    Deleted(T),
}

/// One write of one object.
#[derive(Debug, Clone)]
pub enum Seen {
    /// Of a Node.
    Node(Change<NodeFacts>),
    /// Of a BottlerocketShadow.
    Shadow(Change<ShadowFacts>),
    /// Of an UpdatePolicy.
    Policy(Change<PolicyFacts>),
    /// Of a Pod.
    Pod(Change<PodFacts>),
    /// Of a PodDisruptionBudget.
    Budget(Change<BudgetFacts>),
}

impl Seen {
    /// The resourceVersion of the write: a place in the one order of all writes.
    #[must_use]
    pub const fn version(&self) -> u64 {
        match self {
            Self::Node(Change::Applied(node) | Change::Deleted(node)) => node.version,
            Self::Shadow(Change::Applied(shadow) | Change::Deleted(shadow)) => shadow.version,
            Self::Policy(Change::Applied(policy) | Change::Deleted(policy)) => policy.version,
            Self::Pod(Change::Applied(pod) | Change::Deleted(pod)) => pod.version,
            Self::Budget(Change::Applied(budget) | Change::Deleted(budget)) => budget.version,
        }
    }
}

/// What happened to a simulated host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostChange {
    /// It went down.
    Down {
        /// Whether its agent asked for it: not somebody else on the host, and not the power.
        approved: bool,
    },
    /// It came up, running this version.
    Up {
        /// The version.
        version: Version,
    },
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// In the cluster.
    Cluster {
        /// When it was seen.
        at: Timestamp,
        /// What.
        seen: Box<Seen>,
    },
    /// On a host.
    Host {
        /// When it happened.
        at: Timestamp,
        /// The node it is about.
        node: String,
        /// What.
        change: HostChange,
    },
}
