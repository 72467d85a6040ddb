//! A second opinion on a plan, written without the plan's helpers.
//!
//! It reads the snapshot with its own eyes and objects to every start and every approval that would break an invariant of design
//! section 7. What it objects to is not executed. Finishing and restoring are not its business: they always go through.

mod counts;
mod group;
mod node;
mod tally;
mod version;
mod window;

use std::collections::BTreeMap;

use api::shadow::{Desired, Observed};
use api::{Shadow, State};
use jiff::{SignedDuration, Timestamp};
use kube::core::SelectorExt as _;
use thiserror::Error;

use crate::action::{Action, Verb};
use crate::plan::Plan;
use crate::snapshot::{NodeFacts, PolicyFacts, ShadowFacts, Snapshot};
use tally::Tally;

/// Furthest an approval may expire in the future (design section 3, `disrupt_not_after`).
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
    /// No single accepted policy applies, or it is not the one the spec names.
    #[error("no accepted policy applies")]
    Policy,
    /// The policy is paused.
    #[error("the policy is paused")]
    Paused,
    /// The policy's schedule is closed, or the approval would outlast it.
    #[error("the schedule is closed")]
    Window,
    /// Too many of the policy's nodes have failed on the version.
    #[error("the policy is halted on the version")]
    Halted,
    /// The version is out of the policy's range, too young, or not promoted.
    #[error("the version may not be taken")]
    Version,
    /// The node is held, away, silent, cordoned by somebody else, or has failed on the version.
    #[error("the node must be left alone")]
    Node,
    /// The spec does not follow from the one before.
    #[error("the spec does not follow from the one before")]
    Desired,
    /// The approval would hold for too long, or for no time at all.
    #[error("the approval expires at a wrong time")]
    Expiry,
    /// More nodes than allowed would be in flight.
    #[error("more nodes would be in flight than allowed")]
    InFlight,
    /// More nodes than allowed would have an approval or a record.
    #[error("more nodes would be disrupted than allowed")]
    Disrupted,
    /// More nodes than allowed would be unavailable.
    #[error("more nodes would be unavailable than allowed")]
    Unavailable,
    /// Nodes of more than one topology value would be out together.
    #[error("nodes of more than one topology value would be out together")]
    Topology,
    /// An approval, an expiry or a version would be changed together with the settings.
    #[error("more than the settings would be changed")]
    Adjustment,
}

/// Every objection to `plan`, in the order of its actions.
#[must_use]
pub fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Objection> {
    let mut tally = Tally::take(snapshot, plan);
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

/// The actions of `plan` that may be executed: none on a node that there is an objection to.
pub fn unobjected<'a>(plan: &'a Plan, objections: &'a [Objection]) -> impl Iterator<Item = &'a Action> {
    let refused = |node: &str| objections.iter().any(|objection| objection.node == node);
    plan.actions.iter().filter(move |action| !refused(&action.node))
}

fn judge<'a>(snapshot: &'a Snapshot, action: &'a Action, tally: &mut Tally<'a>) -> Result<(), Broken> {
    if action.verb == Verb::Adjust {
        return adjusts_only(&action.before, &action.desired);
    }
    if !action.verb.is_limited() {
        return Ok(());
    }
    let node = snapshot.nodes.get(&action.node).ok_or(Broken::Precondition)?;
    let shadow = match snapshot.shadows.get(&action.node).map(AsRef::as_ref) {
        Some(ShadowFacts::Readable(shadow)) => shadow,
        _ => return Err(Broken::Precondition),
    };
    let same = shadow.uid == action.uid && shadow.resource_version == action.resource_version;
    if !same || shadow.node.uid != node.uid {
        return Err(Broken::Precondition);
    }
    let observed = shadow.observed.as_ref().ok_or(Broken::Node)?;
    let applies = applying(snapshot, node).ok_or(Broken::Policy)?;
    let policy = applies.accepted.as_ref().map_err(|_| Broken::Policy)?;
    if action.desired.policy.as_ref() != Some(&applies.name) {
        return Err(Broken::Policy);
    }
    if policy.paused {
        return Err(Broken::Paused);
    }
    window::in_window(snapshot.now, policy, node, observed, action)?;
    version::is_right(snapshot, applies, observed, action)?;
    tally.not_halted(applies, policy, action)?;
    node::may_be_moved(node, action, observed)?;
    follows(snapshot.now, shadow, observed, action)?;
    tally.admit((&applies.name, policy), action.verb, node)
}

/// The one policy of the highest priority, accepted or not; none where several claim the node, or one that cannot be read might.
fn applying<'a>(snapshot: &'a Snapshot, node: &NodeFacts) -> Option<&'a PolicyFacts> {
    let selects =
        |policy: &&PolicyFacts| policy.selector.as_ref().is_none_or(|selector| selector.matches(&node.labels));
    let mut claims: Vec<_> = snapshot.policies.values().filter(|_| node.managed).filter(selects).collect();
    claims.sort_by_key(|policy| policy.priority.map_or(i64::MIN, |priority| -i64::from(priority)));
    match claims.as_slice() {
        [first, second, ..] if first.priority == second.priority => None,
        [first, ..] => Some(first),
        [] => None,
    }
}

fn adjusts_only(before: &Desired, after: &Desired) -> Result<(), Broken> {
    let essence = |desired: &Desired| Desired { drain: None, exclusion_wait_seconds: 0, ..desired.clone() };
    if essence(before) == essence(after) { Ok(()) } else { Err(Broken::Adjustment) }
}

fn follows(now: Timestamp, shadow: &Shadow, observed: &Observed, action: &Action) -> Result<(), Broken> {
    let (before, after) = (&shadow.desired, &action.desired);
    let fits = match action.verb {
        Verb::Start => {
            let rests = before.state == State::Idle && observed.state == State::Idle;
            let failed = observed.failed.as_ref().map(|failed| &failed.version);
            let newer = failed.is_some() && before.version.as_ref() == failed && after.version.as_ref() > failed;
            (rests || (newer && before.state == State::RebootedIntoUpdate))
                && after.state == State::StagedAndPerformedUpdate
                && after.version.is_some()
                && after.disrupt_not_after.is_none()
        }
        Verb::Approve => observed.state == State::StagedAndPerformedUpdate && after.version == before.version,
        Verb::Renew => after.version == before.version && after.since == before.since,
        _ => true,
    };
    if !fits {
        return Err(Broken::Desired);
    }
    if action.verb == Verb::Start {
        return Ok(());
    }
    let latest = now.checked_add(FURTHEST_EXPIRY).unwrap_or(Timestamp::MAX);
    let expires = after.disrupt_not_after.is_some_and(|expiry| expiry > now && expiry <= latest);
    if after.state == State::RebootedIntoUpdate && expires { Ok(()) } else { Err(Broken::Expiry) }
}
