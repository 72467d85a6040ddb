//! A second opinion on a plan, written without the plan's helpers.
//!
//! It reads the snapshot with its own eyes and objects to every start and every go that would break an invariant of design
//! section 7. What it objects to is not executed. Finishing and giving back are not its business: they always go through.

use std::collections::BTreeMap;

use api::{Policy, Shadow, State, shadow::Report};
use jiff::{SignedDuration, Timestamp};
use kube::core::SelectorExt as _;
use thiserror::Error;

use crate::{
    action::{Action, Verb},
    plan::Plan,
    snapshot::{NodeFacts, PolicyFacts, ShadowFacts, Snapshot},
};

/// Furthest a go may expire in the future (design section 3, `disrupt_not_after`).
const FURTHEST_EXPIRY: SignedDuration = SignedDuration::from_mins(10);

/// An action that must not be executed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The node the action is about.
    pub node: String,
    /// The action.
    pub verb: Verb,
    /// The invariant it would break.
    pub broken: Broken,
}

/// The invariant that an action would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Broken {
    /// Two writes to one shadow, or a write to something else than the snapshot shows.
    #[error("the write does not fit the snapshot")]
    Precondition,
    /// No single accepted policy applies, or it is not the one the order names.
    #[error("no accepted policy applies")]
    Policy,
    /// The policy is paused.
    #[error("the policy is paused")]
    Paused,
    /// The node is held, away, silent, or cordoned by somebody else.
    #[error("the node must be left alone")]
    Node,
    /// The order does not follow from the one before.
    #[error("the order does not follow from the one before")]
    Order,
    /// The go would hold for too long, or for no time at all.
    #[error("the go expires at a wrong time")]
    Expiry,
    /// More nodes than allowed would be in flight.
    #[error("more nodes would be in flight than allowed")]
    InFlight,
    /// More nodes than allowed would have a go or marks.
    #[error("more nodes would be disrupted than allowed")]
    Disrupted,
}

/// Every objection to `plan`, in the order of its actions.
#[must_use]
pub fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Objection> {
    let mut tally = Tally::take(snapshot);
    let mut written = BTreeMap::new();
    let mut objections = Vec::new();
    for action in &plan.actions {
        let twice = written.insert(&action.shadow, ()).is_some();
        let broken = if twice { Err(Broken::Precondition) } else { judge(snapshot, action, &mut tally) };
        if let Err(broken) = broken {
            objections.push(Objection { node: action.node.clone(), verb: action.verb, broken });
        }
    }
    objections
}

fn judge(snapshot: &Snapshot, action: &Action, tally: &mut Tally) -> Result<(), Broken> {
    if !action.verb.is_limited() {
        return Ok(());
    }
    let node = snapshot.nodes.get(&action.node).ok_or(Broken::Precondition)?;
    let shadow = match snapshot.shadows.get(&action.node) {
        Some(ShadowFacts::Readable(shadow)) => shadow,
        _ => return Err(Broken::Precondition),
    };
    let same = shadow.uid == action.uid && shadow.resource_version == action.resource_version;
    if !same || shadow.node.uid != node.uid {
        return Err(Broken::Precondition);
    }
    let report = shadow.report.as_ref().ok_or(Broken::Node)?;
    let (name, policy) = applying(snapshot, node).ok_or(Broken::Policy)?;
    if action.order.policy.as_deref() != Some(name) {
        return Err(Broken::Policy);
    }
    if policy.paused {
        return Err(Broken::Paused);
    }
    leave_alone(node, action, report)?;
    follows(snapshot.now, shadow, report, action)?;
    let limit = policy.max_concurrent_updates.of(tally.of(name).owned);
    tally.admit(name, action.verb, limit)
}

/// The one accepted policy that applies, if there is exactly one of the highest priority and nothing unreadable above it.
fn applying<'a>(snapshot: &'a Snapshot, node: &NodeFacts) -> Option<(&'a str, &'a Policy)> {
    let selects =
        |policy: &&PolicyFacts| policy.selector.as_ref().is_none_or(|selector| selector.matches(&node.labels));
    let mut claims: Vec<_> = snapshot.policies.values().filter(selects).collect();
    claims.sort_by_key(|policy| policy.priority.map_or(i64::MIN, |priority| -i64::from(priority)));
    match claims.as_slice() {
        [first, second, ..] if first.priority == second.priority => None,
        [first, ..] if node.managed => Some((&first.name, first.accepted.as_ref().ok()?)),
        _ => None,
    }
}

fn leave_alone(node: &NodeFacts, action: &Action, report: &Report) -> Result<(), Broken> {
    let silent = report.agent_version.is_some() && !node.agent_ready;
    let foreign_cordon = node.cordoned && matches!(node.marks, Ok(None)) && node.update_now != action.order.version;
    let away = !node.ready || node.leaving.is_some();
    if silent || foreign_cordon || away || node.hold.is_some() || node.marks.is_err() {
        Err(Broken::Node)
    } else {
        Ok(())
    }
}

fn follows(now: Timestamp, shadow: &Shadow, report: &Report, action: &Action) -> Result<(), Broken> {
    let (before, after) = (&shadow.order, &action.order);
    let fits = match action.verb {
        Verb::Start => {
            before.state == State::Idle
                && report.state == State::Idle
                && after.state == State::StagedAndPerformedUpdate
                && after.version.is_some()
                && after.disrupt_not_after.is_none()
        }
        Verb::Go => report.state == State::StagedAndPerformedUpdate && after.version == before.version,
        Verb::Renew => after.version == before.version && after.since == before.since,
        _ => true,
    };
    if !fits {
        return Err(Broken::Order);
    }
    if action.verb == Verb::Start {
        return Ok(());
    }
    let latest = now.checked_add(FURTHEST_EXPIRY).unwrap_or(Timestamp::MAX);
    let expires = after.disrupt_not_after.is_some_and(|expiry| expiry > now && expiry <= latest);
    if after.state == State::RebootedIntoUpdate && expires { Ok(()) } else { Err(Broken::Expiry) }
}

/// What one policy has out.
#[derive(Debug, Clone, Copy, Default)]
struct Out {
    owned: usize,
    in_flight: usize,
    disrupted: usize,
}

/// What every policy has out, with what the plan adds.
#[derive(Debug, Default)]
struct Tally(BTreeMap<String, Out>);

impl Tally {
    fn take(snapshot: &Snapshot) -> Self {
        let mut tally = Self::default();
        for node in snapshot.nodes.values() {
            let shadow = snapshot
                .shadows
                .get(&node.name)
                .filter(|shadow| shadow.readable().is_none_or(|s| s.node.uid == node.uid));
            let now = applying_or_first(snapshot, node);
            if let Some(name) = now {
                tally.of_mut(name).owned += 1;
            }
            let began = shadow.and_then(ShadowFacts::readable).and_then(|shadow| shadow.order.policy.as_deref());
            let (flies, disrupted) = counts(node, shadow);
            for name in now.into_iter().chain(began.filter(|began| now != Some(began))) {
                let out = tally.of_mut(name);
                out.in_flight += usize::from(flies);
                out.disrupted += usize::from(disrupted);
            }
        }
        tally
    }

    fn of(&self, policy: &str) -> Out {
        self.0.get(policy).copied().unwrap_or_default()
    }

    fn of_mut(&mut self, policy: &str) -> &mut Out {
        self.0.entry(policy.to_owned()).or_default()
    }

    /// Lets one more out, if the limit allows it. A renewed go is counted already.
    fn admit(&mut self, policy: &str, verb: Verb, limit: Option<usize>) -> Result<(), Broken> {
        let out = self.of_mut(policy);
        let (count, broken) = match verb {
            Verb::Start => (&mut out.in_flight, Broken::InFlight),
            Verb::Go => (&mut out.disrupted, Broken::Disrupted),
            _ => return Ok(()),
        };
        *count += 1;
        if limit.is_some_and(|limit| *count > limit) { Err(broken) } else { Ok(()) }
    }
}

/// The policy whose limit a node counts for now: the one of highest priority, accepted or not.
fn applying_or_first<'a>(snapshot: &'a Snapshot, node: &NodeFacts) -> Option<&'a str> {
    let selects =
        |policy: &&PolicyFacts| policy.selector.as_ref().is_none_or(|selector| selector.matches(&node.labels));
    let mut claims: Vec<_> = snapshot.policies.values().filter(|_| node.managed).filter(selects).collect();
    claims.sort_by_key(|policy| policy.priority.map_or(i64::MIN, |priority| -i64::from(priority)));
    match claims.as_slice() {
        [first, second, ..] if first.priority == second.priority => None,
        [first, ..] => Some(&first.name),
        [] => None,
    }
}

/// Whether a node is in flight, and whether it has a go or marks.
fn counts(node: &NodeFacts, shadow: Option<&ShadowFacts>) -> (bool, bool) {
    let marked = !matches!(node.marks, Ok(None));
    match shadow {
        None => (marked, marked),
        Some(ShadowFacts::Unreadable { .. }) => (true, true),
        Some(ShadowFacts::Readable(shadow)) => {
            let asked = shadow.order.state != State::Idle;
            let reports = shadow.report.as_ref().is_some_and(|report| report.state != State::Idle);
            let ours = shadow.report.as_ref().is_some_and(|report| report.agent_version.is_some());
            let abandoned = !node.managed || (!asked && ours && !node.agent_ready);
            let go = shadow.order.state == State::RebootedIntoUpdate;
            (marked || ((asked || reports) && !abandoned), marked || go)
        }
    }
}
