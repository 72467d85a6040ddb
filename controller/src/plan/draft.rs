//! A plan while its steps write it.

use std::collections::{BTreeMap, BTreeSet};

use api::{Shadow, State, shadow::Desired};
use jiff::Timestamp;
use semver::Version;

use super::{
    Hold, Plan,
    budget::Budgets,
    halt::{Failures, Halts},
    offers::{Offer, Offers},
    phase::Phase,
    releases::{Choice, Releases, choose},
    situation::Situation,
    standing::standings,
    survey::Survey,
    window::{Window, window},
};
use crate::{
    action::{Action, Verb},
    snapshot::{PolicyFacts, ShadowFacts, Snapshot},
};

/// A plan while its steps write it.
pub(super) struct Draft<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Timestamp,
    pub(super) situations: Vec<Situation<'a>>,
    pub(super) budgets: Budgets<'a>,
    pub(super) releases: Releases<'a>,
    /// The shadows whose Node is gone.
    pub(super) orphans: Vec<&'a ShadowFacts>,
    offers: Offers<'a>,
    /// Which version nodes take that tell an offer, by its number.
    choices: Vec<Choice<'a>>,
    pub(super) windows: BTreeMap<&'a str, Window>,
    pub(super) halts: Halts<'a>,
    /// The positions of the situations in each phase, in order.
    phases: BTreeMap<Phase, Vec<usize>>,
    /// What is asked for, by the position of its node.
    actions: Vec<Option<Box<Action>>>,
    /// The deletions of shadows that have no node.
    deletions: Vec<Action>,
    /// Why each node does not move, by its position.
    holds: Vec<Option<Hold>>,
    plan: Plan,
}

impl<'a> Draft<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let survey = Survey::of(snapshot);
        let budgets = Budgets::count(&survey.situations);
        let failures = Failures::count(&survey.situations);
        let releases = Releases::of(snapshot, &survey, &failures);
        let Survey { situations, offers, orphans } = survey;
        let windows = snapshot.policies.values();
        let windows = windows.filter_map(|policy| Some((policy.name.as_str(), window(policy, snapshot)?)));
        let policy = |offer: &Offer<'_>| offer.policy.and_then(|name| snapshot.policies.get(name));
        let choices = offers.iter().map(|(offer, _)| choose(&releases, policy(offer), offer, snapshot.now));
        let (choices, changes): (Vec<_>, Vec<_>) = choices.unzip();
        let wake_at = changes.into_iter().flatten().min();
        Self {
            snapshot,
            now: snapshot.now,
            orphans,
            choices,
            offers,
            releases,
            windows: windows.collect(),
            halts: Halts::of(snapshot, failures, |policy| budgets.matched(policy)),
            budgets,
            phases: by_phase(&situations),
            actions: situations.iter().map(|_| None).collect(),
            holds: situations.iter().map(|_| None).collect(),
            situations,
            deletions: Vec::new(),
            plan: Plan { wake_at, ..Plan::default() },
        }
    }

    /// What the node at `at` tells of versions; `None` if it has not reported.
    pub(super) fn offer(&self, at: usize) -> Option<&Offer<'a>> {
        self.offers.get(self.situations[at].offer?)
    }

    /// Which version the node at `at` takes.
    pub(super) fn choice(&self, at: usize) -> &Choice<'a> {
        self.situations[at].offer.and_then(|offer| self.choices.get(offer)).unwrap_or(&Choice::Current)
    }

    /// The positions of the situations in one of `phases` that no step has acted on yet.
    pub(super) fn open_in(&self, phases: &[Phase]) -> Vec<usize> {
        let all = phases.iter().filter_map(|phase| self.phases.get(phase)).flatten();
        let mut open: Vec<_> = all.copied().filter(|at| self.actions[*at].is_none()).collect();
        open.sort_unstable();
        open
    }

    /// The positions of the nodes in flight that count for `policy` and that no step has asked to go back to Idle.
    pub(super) fn in_flight_for(&self, policy: &PolicyFacts) -> impl Iterator<Item = usize> {
        let returns = |at: usize| {
            let act = self.actions[at].as_ref();
            self.situations[at].phase == Phase::Returning || act.is_some_and(|act| act.desired.state == State::Idle)
        };
        let all = self.situations.iter().enumerate();
        all.filter(move |(at, situation)| situation.in_flight && !returns(*at))
            .filter(|(_, situation)| situation.counts_for().any(|counted| counted.name == policy.name))
            .map(|(at, _)| at)
    }

    /// Asks for a write to the shadow of the node at `at`. The first step that asks for one has the word.
    pub(super) fn act(&mut self, at: usize, verb: Verb, desired: Desired) {
        if let Some(shadow) = self.situations[at].readable() {
            self.actions[at].get_or_insert_with(|| Box::new(Action::new(verb, shadow, desired)));
        }
    }

    /// Asks for the deletion of a shadow that has no node.
    pub(super) fn delete(&mut self, shadow: &Shadow) {
        self.deletions.push(Action::new(Verb::Delete, shadow, Desired::default()));
    }

    /// Says why a node does not move.
    pub(super) fn hold(&mut self, at: usize, hold: Hold) {
        self.holds[at] = Some(hold);
    }

    /// Makes sure the next plan is made no later than `at`.
    pub(super) fn wake_at(&mut self, at: Timestamp) {
        self.plan.wake_at = Some(self.plan.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Adds a node to what would start if the pause were lifted.
    pub(super) fn would_start(&mut self, policy: &str, node: &str, version: Version) {
        self.plan.next.entry(policy.to_owned()).or_default().push((node.to_owned(), version));
    }

    pub(super) fn finish(mut self) -> Plan {
        self.plan.in_flight = counted_in_flight(&self.situations);
        self.plan.nodes =
            standings(std::mem::take(&mut self.situations), &self.choices, std::mem::take(&mut self.holds));
        let changes = self.windows.values().flat_map(|window| [window.closes_at, window.next_opens_at]);
        for change in changes.flatten().collect::<Vec<_>>() {
            self.wake_at(change);
        }
        let limit = |policy: &PolicyFacts| Some((policy.name.clone(), self.budgets.most_in_flight(policy)?));
        self.plan.limits = self.snapshot.policies.values().filter_map(limit).collect();
        self.plan.windows = self.windows.into_iter().map(|(policy, window)| (policy.to_owned(), window)).collect();
        let newest = newest(&self.offers, &self.choices);
        let all_taken: BTreeSet<_> = taken(&self.offers, &self.choices).collect();
        self.plan.halted = self.halts.sentences(|policy, version| {
            newest.get(policy).is_none_or(|newest| *newest <= version) || all_taken.contains(&(policy, version))
        });
        self.plan.releases = self.releases.into_all();
        let actions = self.actions.into_iter().flatten().map(|action| *action);
        let mut actions: Vec<_> = actions.chain(self.deletions).collect();
        actions.sort_by(|one, other| one.node.cmp(&other.node));
        self.plan.actions = actions;
        self.plan
    }
}

fn by_phase(situations: &[Situation<'_>]) -> BTreeMap<Phase, Vec<usize>> {
    let mut phases: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (at, situation) in situations.iter().enumerate() {
        phases.entry(situation.phase).or_default().push(at);
    }
    phases
}

fn counted_in_flight(situations: &[Situation<'_>]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for policy in situations.iter().filter(|situation| situation.in_flight).flat_map(Situation::counts_for) {
        *counted.entry(policy.name.clone()).or_default() += 1;
    }
    counted
}

/// The versions that nodes take, by policy.
fn taken<'a>(offers: &Offers<'a>, choices: &[Choice<'a>]) -> impl Iterator<Item = (&'a str, &'a Version)> {
    offers.iter().zip(choices).filter_map(|((offer, _), choice)| Some((offer.policy?, choice.taken()?)))
}

/// The newest version that a node of each policy runs or takes.
fn newest<'a>(offers: &Offers<'a>, choices: &[Choice<'a>]) -> BTreeMap<&'a str, &'a Version> {
    let mut newest = BTreeMap::new();
    for ((offer, _), choice) in offers.iter().zip(choices) {
        let Some(policy) = offer.policy else { continue };
        for version in [offer.current].into_iter().chain(choice.taken()) {
            let known = newest.entry(policy).or_insert(version);
            *known = (*known).max(version);
        }
    }
    newest
}
