//! What every policy has out, counted by the check for itself.

use std::collections::{BTreeMap, BTreeSet};

use api::shadow::Verdict;
use api::{Policy, State, versions};
use semver::Version;

use super::counts::{Counts, counts};
use super::group::Group;
use super::{Broken, applying};
use crate::action::{Action, Verb};
use crate::plan::Plan;
use crate::snapshot::{NodeFacts, PolicyFacts, ShadowFacts, Snapshot};

/// What one policy has out.
#[derive(Debug, Clone, Default)]
struct Out<'a> {
    owned: usize,
    in_flight: Group<'a>,
    /// Those that have an approval or a record, and those asked to go back to Idle, which they have not reported: what they did to the Node may
    /// not be undone or shown yet.
    disrupted: Group<'a>,
    /// Those that will have an approval or a record once the plan has withdrawn what it withdraws.
    keep_approval: BTreeSet<&'a str>,
}

/// What every policy has out, with what the plan adds.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    snapshot: &'a Snapshot,
    out: BTreeMap<&'a str, Out<'a>>,
    /// Nodes whose unused approval the plan withdraws; one that is not managed any more loses it with its shadow.
    withdrawn: BTreeSet<&'a str>,
    /// How many nodes of each policy have a verdict about a version.
    failed: BTreeMap<(&'a str, &'a Version), usize>,
}

impl<'a> Tally<'a> {
    pub(super) fn take(snapshot: &'a Snapshot, plan: &'a Plan) -> Self {
        let withdraws = |action: &&Action| matches!(action.verb, Verb::Withdraw | Verb::Unschedule | Verb::Delete);
        let withdrawn = plan.actions.iter().filter(withdraws).map(|action| action.node.as_str()).collect();
        let mut tally = Self { snapshot, out: BTreeMap::new(), withdrawn, failed: BTreeMap::new() };
        // A failed node that is restored counts again.
        let back = plan.actions.iter().filter(|action| action.verb == Verb::Restore);
        let back: BTreeSet<_> = back.map(|action| &action.node).collect();
        for (node, shadow) in snapshot.nodes_and_shadows() {
            let now = applying(snapshot, node).map(|policy| policy.name.as_str());
            if let Some(name) = now {
                tally.out.entry(name).or_default().owned += 1;
                if let Some(version) = shadow.and_then(|shadow| failed_on(node, shadow)) {
                    *tally.failed.entry((name, version)).or_default() += 1;
                }
            }
            let began = shadow.into_iter().flat_map(|shadow| shadow.began_under(&snapshot.policies));
            let began = began.map(|(name, _)| name);
            let failed = shadow.is_some_and(|shadow| is_out_for_a_failure(node, shadow)) && !back.contains(&node.name);
            let counts = if failed { Counts::default() } else { counts(node, shadow, snapshot.now) };
            let down = node.managed && (!node.ready || node.cordoned || failed);
            for name in now.into_iter().chain(began.filter(|began| now != Some(began))) {
                tally.note(name, node, counts, down);
            }
        }
        tally
    }

    fn note(&mut self, policy: &'a str, node: &'a NodeFacts, counts: Counts, down: bool) {
        let accepted = self.snapshot.policies.get(policy).and_then(|policy| policy.accepted.as_ref().ok());
        let topology_key = accepted.and_then(|policy| policy.topology_key.as_deref());
        let out = self.out.entry(policy).or_default();
        if counts.in_flight {
            out.in_flight.add(node, topology_key);
        }
        if counts.disrupted || counts.returning {
            out.disrupted.add(node, topology_key);
        }
        if counts.disrupted && !self.withdrawn.contains(node.name.as_str()) {
            out.keep_approval.insert(&node.name);
        }
        if down {
            out.in_flight.unavailable.insert(&node.name);
            out.disrupted.unavailable.insert(&node.name);
        }
    }

    /// Whether fewer of the policy's nodes have failed on the version than halt it, and none of a policy that goes before.
    pub(super) fn not_halted(&self, applies: &PolicyFacts, policy: &Policy, action: &Action) -> Result<(), Broken> {
        let Some(version) = &action.desired.version else { return Err(Broken::Desired) };
        let failed = |policy: &str| self.failed.get(&(policy, version)).copied().unwrap_or_default();
        if policy.versions.after.iter().any(|step| failed(&step.policy) > 0) {
            return Err(Broken::Version);
        }
        let owned = self.out.get(applies.name.as_str()).map_or(0, |out| out.owned);
        let halted = policy.halt_after.of(owned).is_some_and(|most| failed(&applies.name) >= most);
        if halted { Err(Broken::Halted) } else { Ok(()) }
    }

    /// Lets one more out, if the policy's limits allow it. A renewed approval is counted already, and must not be one that a limit
    /// lowered since leaves no room for, once the plan has withdrawn what it withdraws.
    pub(super) fn admit(
        &mut self,
        (name, policy): (&'a str, &Policy),
        verb: Verb,
        node: &'a NodeFacts,
    ) -> Result<(), Broken> {
        let out = self.out.entry(name).or_default();
        let topology_key = policy.topology_key.as_deref();
        match verb {
            Verb::Start => {
                out.in_flight.add(node, topology_key);
                out.in_flight.stays_within(policy, out.owned, Broken::InFlight)
            }
            Verb::Approve => {
                out.disrupted.add(node, topology_key);
                out.keep_approval.insert(&node.name);
                out.disrupted.stays_within(policy, out.owned, Broken::Disrupted)
            }
            _ => {
                let limit = policy.max_concurrent_updates.of(out.owned);
                let too_many = limit.is_some_and(|limit| out.keep_approval.len() > limit);
                if too_many { Err(Broken::Disrupted) } else { Ok(()) }
            }
        }
    }
}

/// Whether the node failed on what it is asked for, or on what its record names while it is restored.
fn is_out_for_a_failure(node: &NodeFacts, shadow: &ShadowFacts) -> bool {
    let Some(shadow) = shadow.readable() else { return false };
    let failed = shadow.observed.as_ref().and_then(|observed| observed.failed.as_ref());
    let about = match (shadow.desired.state, &node.record) {
        (State::RebootedIntoUpdate, _) => shadow.desired.version.as_ref(),
        (State::Idle, Ok(Some(record))) => Some(&record.approval.version),
        _ => None,
    };
    failed.is_some_and(|failed| {
        failed.kind != Verdict::Unknown
            && about == Some(&failed.version)
            && node.failure_acknowledged.as_ref() != Some(&failed.version)
    })
}

/// The version of a stored verdict that nobody has acknowledged and that the node has not come past.
fn failed_on<'a>(node: &NodeFacts, shadow: &'a ShadowFacts) -> Option<&'a Version> {
    let shadow = shadow.readable()?;
    let observed = shadow.observed.as_ref()?;
    let version = &observed.failed.as_ref()?.version;
    let locked = observed.version_lock.as_deref().and_then(versions::locked);
    let newer = observed.current_version > *version && locked.as_ref() != Some(version);
    let past = shadow.desired.state != State::RebootedIntoUpdate && (newer || observed.current_version == *version);
    (!past && node.failure_acknowledged.as_ref() != Some(version)).then_some(version)
}
