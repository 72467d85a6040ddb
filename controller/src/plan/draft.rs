//! A plan while its steps write it.

use std::collections::BTreeMap;

use api::{HoldReason, Shadow, State, shadow::Order};
use jiff::Timestamp;

use super::{Hold, Plan, Standing, budget::Budgets, eligible, phase::Phase, situation::Situation};
use crate::{
    action::{Action, Verb},
    snapshot::{PolicyFacts, Snapshot},
};

/// A plan while its steps write it.
pub(super) struct Draft<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Timestamp,
    pub(super) situations: Vec<Situation<'a>>,
    pub(super) budgets: Budgets<'a>,
    actions: BTreeMap<&'a str, Action>,
    holds: BTreeMap<&'a str, Hold>,
    plan: Plan,
}

impl<'a> Draft<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let situations = Situation::all(snapshot);
        Self {
            snapshot,
            now: snapshot.now,
            budgets: Budgets::count(&situations),
            situations,
            actions: BTreeMap::new(),
            holds: BTreeMap::new(),
            plan: Plan::default(),
        }
    }

    /// The positions of the situations in one of `phases` that no step has acted on yet.
    pub(super) fn open_in(&self, phases: &[Phase]) -> Vec<usize> {
        let open = |situation: &Situation<'_>| {
            phases.contains(&situation.phase) && !self.actions.contains_key(situation.node.name.as_str())
        };
        self.situations.iter().enumerate().filter(|(_, situation)| open(situation)).map(|(at, _)| at).collect()
    }

    /// The positions of the nodes in flight that count for `policy` and that no step has asked to go back to Idle.
    pub(super) fn in_flight_for(&self, policy: &PolicyFacts) -> impl Iterator<Item = usize> {
        let returns = |situation: &Situation<'_>| {
            let act = self.actions.get(situation.node.name.as_str());
            situation.phase == Phase::Returning || act.is_some_and(|act| act.order.state == State::Idle)
        };
        let all = self.situations.iter().enumerate();
        all.filter(move |(_, situation)| situation.in_flight && !returns(situation))
            .filter(|(_, situation)| situation.counts_for().any(|counted| counted.name == policy.name))
            .map(|(at, _)| at)
    }

    /// Asks for a write. The first step that asks for one on a shadow has the word.
    pub(super) fn act(&mut self, verb: Verb, shadow: &'a Shadow, order: Order) {
        self.actions.entry(&shadow.node.name).or_insert_with(|| Action::new(verb, shadow, order));
    }

    /// Says why a node does not move.
    pub(super) fn hold(&mut self, at: usize, hold: Hold) {
        self.holds.insert(&self.situations[at].node.name, hold);
    }

    /// Makes sure the next plan is made no later than `at`.
    pub(super) fn wake_at(&mut self, at: Timestamp) {
        self.plan.wake_at = Some(self.plan.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Adds a node to what would start if the pause were lifted.
    pub(super) fn would_start(&mut self, policy: &str, node: &str, version: semver::Version) {
        self.plan.next.entry(policy.to_owned()).or_default().push((node.to_owned(), version));
    }

    pub(super) fn finish(mut self) -> Plan {
        for situation in &self.situations {
            if situation.node.managed {
                let hold = self.holds.remove(situation.node.name.as_str());
                self.plan.nodes.insert(situation.node.name.clone(), standing(situation, hold));
            }
        }
        let limit = |policy: &PolicyFacts| Some((policy.name.clone(), self.budgets.most_in_flight(policy)?));
        self.plan.limits = self.snapshot.policies.values().filter_map(limit).collect();
        self.plan.actions = self.actions.into_values().collect();
        self.plan
    }
}

fn standing(situation: &Situation<'_>, hold: Option<Hold>) -> Standing {
    let unreadable = |message: String| Some(Hold::new(HoldReason::Unreadable, message));
    let hold = match (&situation.node.marks, situation.shadow) {
        (Err(error), _) => unreadable(format!("Node {}: {error}", situation.node.name)),
        (_, Some(crate::snapshot::ShadowFacts::Unreadable { reason, .. })) => unreadable(reason.clone()),
        _ => hold,
    };
    let resting = situation.phase == Phase::Resting;
    Standing {
        owners: situation.owner.names(),
        in_flight: situation.in_flight,
        up_to_date: resting && situation.report().is_some_and(|report| eligible::wanted(report).is_none()),
        hold,
    }
}
