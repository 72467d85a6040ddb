//! What every policy has out, counted by the check for itself.

use std::collections::{BTreeMap, BTreeSet};

use api::{Policy, State, shadow::Verdict};
use jiff::{SignedDuration, Timestamp};
use semver::Version;

use super::{Broken, applying};
use crate::{
    action::{Action, Verb},
    plan::Plan,
    snapshot::{NodeFacts, PolicyFacts, ShadowFacts, Snapshot},
};

/// An original agent that was asked to go back to Idle this long ago is not heard from any more.
const ORIGINAL_IS_SILENT_AFTER: SignedDuration = SignedDuration::from_mins(30);

/// What one policy has out: names of nodes, and the topology values of those that are in flight and disrupted.
#[derive(Debug, Clone, Default)]
struct Out<'a> {
    owned: usize,
    in_flight: BTreeSet<&'a str>,
    disrupted: BTreeSet<&'a str>,
    /// Asked to go back to Idle, which they have not reported: what they did to the Node may not be undone or shown yet.
    returning: BTreeSet<&'a str>,
    /// Not Ready, or cordoned by anyone.
    down: BTreeSet<&'a str>,
}

/// What every policy has out, with what the plan adds.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    snapshot: &'a Snapshot,
    out: BTreeMap<&'a str, Out<'a>>,
    /// Nodes whose unused go the plan takes back.
    taken_back: BTreeSet<&'a str>,
    /// How many nodes of each policy have a verdict about a version.
    failed: BTreeMap<(&'a str, &'a Version), usize>,
}

impl<'a> Tally<'a> {
    pub(super) fn take(snapshot: &'a Snapshot, plan: &'a Plan) -> Self {
        let taken_back = plan.actions.iter().filter(|action| matches!(action.verb, Verb::Withdraw | Verb::Return));
        let taken_back = taken_back.map(|action| action.node.as_str()).collect();
        let mut tally = Self { snapshot, out: BTreeMap::new(), taken_back, failed: BTreeMap::new() };
        // A failed node that is given back counts again.
        let back = plan.actions.iter().filter(|action| action.verb == Verb::GiveBack);
        let back: BTreeSet<_> = back.map(|action| &action.node).collect();
        for node in snapshot.nodes.values() {
            let shadow = snapshot
                .shadows
                .get(&node.name)
                .map(AsRef::as_ref)
                .filter(|shadow: &&ShadowFacts| shadow.readable().is_none_or(|s| s.node.uid == node.uid));
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
            let (flies, disrupted, returning) =
                if failed { (false, false, false) } else { counts(node, shadow, snapshot.now) };
            for name in now.into_iter().chain(began.filter(|began| now != Some(began))) {
                let out = tally.out.entry(name).or_default();
                let note = |set: &mut BTreeSet<&'a str>, counts: bool| counts && set.insert(&node.name);
                note(&mut out.in_flight, flies);
                note(&mut out.disrupted, disrupted);
                note(&mut out.returning, returning);
                note(&mut out.down, node.managed && (!node.ready || node.cordoned || failed));
            }
        }
        tally
    }

    /// Whether fewer of the policy's nodes have failed on the version than halt it, and none of a policy that goes before.
    pub(super) fn not_halted(&self, applies: &PolicyFacts, policy: &Policy, action: &Action) -> Result<(), Broken> {
        let Some(version) = &action.order.version else { return Err(Broken::Order) };
        let failed = |policy: &str| self.failed.get(&(policy, version)).copied().unwrap_or_default();
        if policy.versions.after.iter().any(|step| failed(&step.policy) > 0) {
            return Err(Broken::Version);
        }
        let owned = self.out.get(applies.name.as_str()).map_or(0, |out| out.owned);
        let halted = policy.halt_after.of(owned).is_some_and(|most| failed(&applies.name) >= most);
        if halted { Err(Broken::Halted) } else { Ok(()) }
    }

    /// Lets one more out, if the policy's limits allow it. A renewed go is counted already, and must not be one that a limit
    /// lowered since leaves no room for, once the plan has taken back what it takes back.
    pub(super) fn admit(
        &mut self,
        (name, policy): (&'a str, &Policy),
        verb: Verb,
        node: &'a NodeFacts,
    ) -> Result<(), Broken> {
        let out = self.out.entry(name).or_default();
        let (set, broken) = match verb {
            Verb::Start => (&mut out.in_flight, Broken::InFlight),
            Verb::Go => (&mut out.disrupted, Broken::Disrupted),
            _ => {
                let left = out.disrupted.difference(&self.taken_back).count();
                let limit = policy.max_concurrent_updates.of(out.owned);
                return if limit.is_some_and(|limit| left > limit) { Err(Broken::Disrupted) } else { Ok(()) };
            }
        };
        set.insert(&node.name);
        let set: BTreeSet<_> = match verb {
            Verb::Go => set.union(&out.returning).copied().collect(),
            _ => set.clone(),
        };
        if policy.max_concurrent_updates.of(out.owned).is_some_and(|limit| set.len() > limit) {
            return Err(broken);
        }
        let unavailable = set.union(&out.down).count();
        let most = policy.max_unavailable.and_then(|most| most.of(out.owned));
        if most.is_some_and(|most| unavailable > most) {
            return Err(Broken::Unavailable);
        }
        let Some(key) = &policy.topology_key else { return Ok(()) };
        let value = |name: &&str| self.snapshot.nodes.get(*name).map(|node| node.labels.get(key));
        let values: BTreeSet<_> = set.iter().filter_map(value).collect();
        if values.len() > 1 { Err(Broken::Topology) } else { Ok(()) }
    }
}

/// Whether a node is in flight, whether it has a go or marks, and whether it is on its way back to Idle.
fn counts(node: &NodeFacts, shadow: Option<&ShadowFacts>, now: Timestamp) -> (bool, bool, bool) {
    let marked = !matches!(node.marks, Ok(None));
    match shadow {
        None => (marked, marked, false),
        Some(ShadowFacts::Unreadable { .. }) => (true, true, false),
        Some(ShadowFacts::Readable(shadow)) => {
            let asked = shadow.order.state != State::Idle;
            let reports = shadow.report.as_ref().is_some_and(|report| report.state != State::Idle);
            let ours = shadow.report.as_ref().is_some_and(|report| report.agent_version.is_some());
            let overdue = shadow.order.since.is_some_and(|since| now.duration_since(since) >= ORIGINAL_IS_SILENT_AFTER);
            let silent = if ours { !node.agent_ready } else { shadow.report.is_some() && overdue };
            let abandoned = !node.managed || (!asked && silent);
            let go = shadow.order.state == State::RebootedIntoUpdate;
            (marked || ((asked || reports) && !abandoned), marked || go, !asked && reports && (marked || !abandoned))
        }
    }
}

/// Whether the node failed on what it is asked for, or on what is marked on it while it is given back.
fn is_out_for_a_failure(node: &NodeFacts, shadow: &ShadowFacts) -> bool {
    let Some(shadow) = shadow.readable() else { return false };
    let failed = shadow.report.as_ref().and_then(|report| report.failed.as_ref());
    let about = match (shadow.order.state, &node.marks) {
        (State::RebootedIntoUpdate, _) => shadow.order.version.as_ref(),
        (State::Idle, Ok(Some(marks))) => Some(&marks.go.version),
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
    let report = shadow.report.as_ref()?;
    let version = &report.failed.as_ref()?.version;
    let lock = report.version_lock.as_deref().map(|lock| lock.trim_start_matches('v'));
    let newer = report.current_version > *version && lock != Some(&version.to_string());
    let past = shadow.order.state != State::RebootedIntoUpdate && (newer || report.current_version == *version);
    (!past && node.failure_acknowledged.as_ref() != Some(version)).then_some(version)
}
