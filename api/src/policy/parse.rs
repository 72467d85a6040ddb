//! From what people write to what the rules read. The webhook refuses what this refuses, and the controller holds the nodes
//! of what this refuses: they cannot drift apart.

use jiff::SignedDuration;
use kube::core::Selector;
use thiserror::Error;

use super::{Drain, OnTimeout, UpdatePolicySpec};
use crate::{
    amount::{Amount, InvalidAmount},
    duration::{self, InvalidDuration},
    label::{self, InvalidLabelKey},
};

/// How long a drain may take where a policy does not say.
pub const DEFAULT_DRAIN_TIMEOUT: SignedDuration = SignedDuration::from_mins(30);
/// Longest wait between the exclusion from load balancers and the drain, in seconds.
const LONGEST_EXCLUSION_SECONDS: u32 = 86_400;

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
    /// How many of them may be unavailable, if that is limited too.
    pub max_unavailable: Option<Amount>,
    /// The label of which only one value may be in flight at a time, if there is one.
    pub topology_key: Option<String>,
    /// Seconds between the exclusion from load balancers and the drain; 0 is no exclusion.
    pub exclusion_wait_seconds: u32,
    /// How its nodes are drained.
    pub drain: DrainRule,
}

/// How nodes are drained, with the defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainRule {
    /// How long a drain may take.
    pub timeout: SignedDuration,
    /// What then.
    pub on_timeout: OnTimeout,
}

impl Default for DrainRule {
    fn default() -> Self {
        Self { timeout: DEFAULT_DRAIN_TIMEOUT, on_timeout: OnTimeout::Abort }
    }
}

impl DrainRule {
    /// As a shadow stores it: whole seconds, at least one, and what then.
    #[must_use]
    pub fn stored(self) -> (u32, OnTimeout) {
        (u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX).max(1), self.on_timeout)
    }
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
    /// A label key cannot be read.
    #[error("{field}: {source}")]
    LabelKey {
        /// The field's path.
        field: &'static str,
        /// What is wrong with it.
        source: InvalidLabelKey,
    },
    /// A duration cannot be read.
    #[error("{field}: {source}")]
    Duration {
        /// The field's path.
        field: &'static str,
        /// What is wrong with it.
        source: InvalidDuration,
    },
    /// The wait between exclusion and drain is out of range.
    #[error(
        "spec.loadBalancerExclusion.waitSeconds: {0} is out of range: write 0 to {LONGEST_EXCLUSION_SECONDS} seconds"
    )]
    ExclusionWait(i64),
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
            max_concurrent_updates: limit.map_err(|source| amount("spec.maxConcurrentUpdates", source))?,
            max_unavailable: (spec.max_unavailable.as_ref().map(Amount::parse).transpose())
                .map_err(|source| amount("spec.maxUnavailable", source))?,
            topology_key: topology_key(spec)?,
            exclusion_wait_seconds: exclusion_wait(spec)?,
            drain: spec.drain.as_ref().map(drain).transpose()?.unwrap_or_default(),
        })
    }
}

const fn amount(field: &'static str, source: InvalidAmount) -> InvalidPolicy {
    InvalidPolicy::Amount { field, source }
}

fn topology_key(spec: &UpdatePolicySpec) -> Result<Option<String>, InvalidPolicy> {
    let key = spec.topology_key.as_deref().map(label::parse_key).transpose();
    let key = key.map_err(|source| InvalidPolicy::LabelKey { field: "spec.topologyKey", source })?;
    Ok(key.map(str::to_owned))
}

fn exclusion_wait(spec: &UpdatePolicySpec) -> Result<u32, InvalidPolicy> {
    let Some(exclusion) = &spec.load_balancer_exclusion else { return Ok(0) };
    let seconds = u32::try_from(exclusion.wait_seconds).ok().filter(|seconds| *seconds <= LONGEST_EXCLUSION_SECONDS);
    seconds.ok_or(InvalidPolicy::ExclusionWait(exclusion.wait_seconds))
}

fn drain(raw: &Drain) -> Result<DrainRule, InvalidPolicy> {
    let timeout = raw.timeout.as_deref().map(duration::parse_drain).transpose();
    let timeout = timeout.map_err(|source| InvalidPolicy::Duration { field: "spec.drain.timeout", source })?;
    Ok(DrainRule { timeout: timeout.unwrap_or(DEFAULT_DRAIN_TIMEOUT), on_timeout: raw.on_timeout.unwrap_or_default() })
}

/// The first field that is set and has no behaviour yet.
fn not_supported(spec: &UpdatePolicySpec) -> Option<&'static str> {
    let fields = [
        ("spec.schedule", spec.schedule.is_some()),
        ("spec.versions", spec.versions.is_some()),
        ("spec.health", spec.health.is_some()),
        ("spec.failures", spec.failures.is_some()),
    ];
    fields.iter().find(|(_, set)| *set).map(|(field, _)| *field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(fields: Value) -> Result<Policy, InvalidPolicy> {
        let mut spec = json!({"nodeSelector": {}});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Policy::try_from(&serde_json::from_value::<UpdatePolicySpec>(spec).unwrap())
    }

    fn refusal(fields: Value) -> String {
        parse(fields).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let policy = parse(json!({})).unwrap();
        assert_eq!(policy.max_concurrent_updates, Amount::Count(1));
        assert_eq!((policy.max_unavailable, policy.topology_key, policy.exclusion_wait_seconds), (None, None, 0));
        assert_eq!(policy.drain.stored(), (1800, OnTimeout::Abort));
        assert_eq!(parse(json!({"drain": {}})).unwrap().drain, DrainRule::default());
    }

    #[test]
    fn how_a_node_is_disrupted_is_read() {
        let policy = parse(json!({
            "maxUnavailable": "20%", "topologyKey": "topology.kubernetes.io/zone",
            "loadBalancerExclusion": {"waitSeconds": 60}, "drain": {"timeout": "1h30m", "onTimeout": "Force"},
        }))
        .unwrap();
        assert_eq!(policy.max_unavailable, Some(Amount::Percent(20)));
        assert_eq!(policy.topology_key.as_deref(), Some("topology.kubernetes.io/zone"));
        assert_eq!(policy.exclusion_wait_seconds, 60);
        assert_eq!(policy.drain.stored(), (5400, OnTimeout::Force));
    }

    #[test]
    fn a_refusal_names_the_field() {
        for (fields, refused) in [
            (json!({"maxUnavailable": 0}), "spec.maxUnavailable: 0 is not an amount"),
            (json!({"maxUnavailable": "unlimited"}), "spec.maxUnavailable: \"unlimited\" is not an amount"),
            (json!({"topologyKey": "a b"}), "spec.topologyKey: \"a b\" is not a label key"),
            (
                json!({"loadBalancerExclusion": {"waitSeconds": -1}}),
                "spec.loadBalancerExclusion.waitSeconds: -1 is out",
            ),
            (json!({"drain": {"timeout": "8d"}}), "spec.drain.timeout: \"8d\" is too long"),
            (json!({"schedule": {}}), "spec.schedule: not supported yet"),
            (json!({"versions": {}}), "spec.versions: not supported yet"),
            (json!({"health": {}}), "spec.health: not supported yet"),
            (json!({"failures": {}}), "spec.failures: not supported yet"),
        ] {
            let says = refusal(fields);
            assert!(says.starts_with(refused), "{says}");
        }
    }
}
