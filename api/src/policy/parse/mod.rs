//! From what people write to what the rules read. The webhook refuses what this refuses, and the controller holds the nodes
//! of what this refuses: they cannot drift apart.

mod health;
mod limits;
mod schedule;
mod selector;
mod versions;

use jiff::SignedDuration;
use kube::core::Selector;

use super::fault::{Findings, InvalidPolicy};
use super::{Drain, OnTimeout, UpdatePolicy, UpdatePolicySpec};
use crate::amount::Amount;
use crate::health::HealthGate;
use crate::schedule::Schedule;
use crate::versions::VersionRule;
use crate::{duration, label};

/// How long a drain may take where a policy does not say.
pub const DEFAULT_DRAIN_TIMEOUT: SignedDuration = SignedDuration::from_mins(30);

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
    /// When a disruption may begin.
    pub schedule: Schedule,
    /// Which versions are taken.
    pub versions: VersionRule,
    /// What counts as healthy after the reboot.
    pub health: HealthGate,
    /// How many of its nodes may fail on a version before no further one starts it.
    pub halt_after: Amount,
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

/// Reads the selector alone: a policy that is otherwise invalid still owns the nodes it selects.
///
/// # Errors
/// When it cannot be read, with the path of what is wrong.
pub fn selector(spec: &UpdatePolicySpec) -> Result<Selector, InvalidPolicy> {
    let mut findings = Findings::default();
    let bounded = limits::note_selector(&spec.node_selector, &mut findings);
    let selector = bounded.and_then(|()| selector::read(&spec.node_selector, &mut findings));
    complete(selector, findings)
}

impl TryFrom<&UpdatePolicySpec> for Policy {
    type Error = InvalidPolicy;

    /// Reads every field; the error is everything that is wrong, with the fields' paths.
    fn try_from(spec: &UpdatePolicySpec) -> Result<Self, Self::Error> {
        let mut findings = Findings::default();
        let policy = read(spec, &mut findings);
        complete(policy, findings)
    }
}

impl TryFrom<&UpdatePolicy> for Policy {
    type Error = InvalidPolicy;

    /// As from the spec alone, and it does not wait for itself.
    fn try_from(raw: &UpdatePolicy) -> Result<Self, Self::Error> {
        let mut findings = Findings::default();
        let policy = read(&raw.spec, &mut findings);
        versions::note_itself(raw, &mut findings);
        complete(policy, findings)
    }
}

fn complete<T>(read: Option<T>, findings: Findings) -> Result<T, InvalidPolicy> {
    match (read, InvalidPolicy::of(findings.into_problems())) {
        (Some(read), None) => Ok(read),
        (_, Some(invalid)) => Err(invalid),
        (None, None) => Err(InvalidPolicy::unexplained()),
    }
}

/// Reads every field, so that all that is wrong is said at once; first what is too large.
fn read(spec: &UpdatePolicySpec, findings: &mut Findings) -> Option<Policy> {
    limits::note(spec, findings);
    if !findings.is_empty() {
        // What is larger than the schema allows is looked at no further: nothing below has another bound.
        return None;
    }
    let selector = selector::read(&spec.node_selector, findings);
    let limit = Amount::parse_or_unlimited(&spec.max_concurrent_updates);
    let max_concurrent_updates = findings.take("spec.maxConcurrentUpdates", limit);
    let max_unavailable = spec.max_unavailable.as_ref().map(Amount::parse).transpose();
    let max_unavailable = findings.take("spec.maxUnavailable", max_unavailable);
    let topology_key = spec.topology_key.as_deref().map(label::parse_key).transpose();
    let topology_key = findings.take("spec.topologyKey", topology_key);
    let exclusion_wait_seconds = exclusion_wait(spec);
    let schedule =
        spec.schedule.as_ref().map_or_else(|| Some(Schedule::default()), |raw| schedule::read(raw, findings));
    let versions =
        spec.versions.as_ref().map_or_else(|| Some(VersionRule::default()), |raw| versions::read(raw, findings));
    let drain = spec.drain.as_ref().map_or_else(|| Some(DrainRule::default()), |raw| drain(raw, findings));
    let health = spec.health.as_ref().map_or_else(|| Some(HealthGate::default()), |raw| health::read(raw, findings));
    let halt_after = spec.failures.as_ref().and_then(|failures| failures.halt_after.as_ref());
    let halt_after = findings.take("spec.failures.haltAfter", halt_after.map_or(Ok(Amount::Count(1)), Amount::parse));
    Some(Policy {
        paused: spec.paused,
        priority: spec.priority,
        selector: selector?,
        max_concurrent_updates: max_concurrent_updates?,
        max_unavailable: max_unavailable?,
        topology_key: topology_key?.map(str::to_owned),
        exclusion_wait_seconds: exclusion_wait_seconds?,
        drain: drain?,
        schedule: schedule?,
        versions: versions?,
        health: health?,
        halt_after: halt_after?,
    })
}

/// Out of range only where the limits have said so.
fn exclusion_wait(spec: &UpdatePolicySpec) -> Option<u32> {
    let seconds = spec.load_balancer_exclusion.as_ref().map_or(0, |exclusion| exclusion.wait_seconds);
    u32::try_from(seconds).ok()
}

fn drain(raw: &Drain, findings: &mut Findings) -> Option<DrainRule> {
    let timeout = raw.timeout.as_deref().map_or(Ok(DEFAULT_DRAIN_TIMEOUT), duration::parse_drain);
    let timeout = findings.take("spec.drain.timeout", timeout)?;
    Some(DrainRule { timeout, on_timeout: raw.on_timeout.unwrap_or_default() })
}

#[cfg(test)]
mod tests;
