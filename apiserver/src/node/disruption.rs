//! What is done to a Node, and undone when it is restored.

/// What an agent asks to have done to its node, or undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disruption {
    /// The exclusion from load balancers.
    Exclusion,
    /// The cordon, with which the drain's clock starts.
    Cordon,
}
