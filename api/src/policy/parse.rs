//! From what people write to what the rules read. The webhook refuses what this refuses, and the controller holds the nodes
//! of what this refuses: they cannot drift apart.

use kube::core::Selector;
use thiserror::Error;

use super::UpdatePolicySpec;
use crate::amount::{Amount, InvalidAmount};

/// A policy as the rules read it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Nothing starts and nothing is disrupted.
    pub paused: bool,
    /// Which policy applies where several select a node.
    pub priority: i32,
    /// The nodes it selects.
    pub selector: Selector,
    /// How many of them may be in flight.
    pub max_concurrent_updates: Amount,
}

/// What is wrong with a policy, with the path of the field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPolicy {
    /// The label selector cannot be read.
    #[error("spec.nodeSelector: {0}")]
    Selector(String),
    /// An amount cannot be read.
    #[error("{field}: {source}")]
    Amount {
        /// The field's path.
        field: &'static str,
        /// What is wrong with it.
        source: InvalidAmount,
    },
    /// A field whose behaviour this version of the operator does not have yet. It is refused as a whole rather than
    /// ignored: whoever wrote it counts on it.
    #[error("{0}: not supported yet")]
    NotSupported(&'static str),
}

/// Reads the selector alone: a policy that is otherwise invalid still owns the nodes it selects.
///
/// # Errors
/// [`InvalidPolicy::Selector`] with the API's own words.
pub fn selector(spec: &UpdatePolicySpec) -> Result<Selector, InvalidPolicy> {
    spec.node_selector
        .clone()
        .try_into()
        .map_err(|error: kube::core::ParseExpressionError| InvalidPolicy::Selector(error.to_string()))
}

impl TryFrom<&UpdatePolicySpec> for Policy {
    type Error = InvalidPolicy;

    fn try_from(spec: &UpdatePolicySpec) -> Result<Self, Self::Error> {
        if let Some(field) = not_supported(spec) {
            return Err(InvalidPolicy::NotSupported(field));
        }
        let limit = Amount::parse_or_unlimited(&spec.max_concurrent_updates);
        Ok(Self {
            paused: spec.paused,
            priority: spec.priority,
            selector: selector(spec)?,
            max_concurrent_updates: limit
                .map_err(|source| InvalidPolicy::Amount { field: "spec.maxConcurrentUpdates", source })?,
        })
    }
}

/// The first field that is set and has no behaviour yet.
fn not_supported(spec: &UpdatePolicySpec) -> Option<&'static str> {
    let fields = [
        ("spec.maxUnavailable", spec.max_unavailable.is_some()),
        ("spec.topologyKey", spec.topology_key.is_some()),
        ("spec.loadBalancerExclusion", spec.load_balancer_exclusion.is_some()),
        ("spec.schedule", spec.schedule.is_some()),
        ("spec.versions", spec.versions.is_some()),
        ("spec.drain", spec.drain.is_some()),
        ("spec.health", spec.health.is_some()),
        ("spec.failures", spec.failures.is_some()),
    ];
    fields.iter().find(|(_, set)| *set).map(|(field, _)| *field)
}
