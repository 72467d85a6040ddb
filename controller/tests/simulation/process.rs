//! One controller: the real rules over watches that lag behind, and writes that are slow, lost or doubled.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    BottlerocketShadow,
    policy::{PromotionStep, VersionSeen},
    shadow::Failed,
};
use controller::{
    action::{Action, Verb, stored},
    check::check,
    own_writes::{Outcome, OwnWrites},
    plan::{BOOTED, Plan, Release},
    shadow_status,
    snapshot::{Objects, Parsed, Snapshot},
    status::version_seen,
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Node, apimachinery::pkg::apis::meta::v1::Condition};
use kube::ResourceExt as _;
use semver::Version;

use crate::{
    host::Flaw,
    observer::{Breach, Observer},
    world::{Refused, StoredPolicy, StoredShadow, View, World},
};

/// How long a write may take, in seconds.
const WRITE_DEADLINE: u64 = 5;

/// How far a controller's watches had come when it made a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) nodes: usize,
    pub(crate) policies: usize,
    pub(crate) agents: usize,
    pub(crate) shadows: usize,
}

/// The rules a controller follows, and how it is broken on purpose.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) plan: fn(&Snapshot) -> Plan,
    /// Its plans are not checked.
    pub(crate) unchecked: bool,
    /// What it wrote does not count until a watch shows it.
    pub(crate) forgetful: bool,
    /// It plans as soon as it leads.
    pub(crate) hasty: bool,
    /// The policies say nothing of windows, versions, health and failures, which end a go as well.
    pub(crate) plain: bool,
    /// The agents and their apiserver are broken instead.
    pub(crate) flaw: Flaw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Write,
    ReadNode,
    PutBack,
}

/// A write under way, with the read and the second write that may follow it.
pub(crate) struct Operation {
    action: Action,
    seen: Seen,
    stage: Stage,
    /// When it takes effect, if it does and has not yet.
    lands: Option<u64>,
    sent: u64,
    answers: u64,
    answer_is_lost: bool,
    result: Result<BottlerocketShadow, Refused>,
    written: Option<BottlerocketShadow>,
    /// The go was refused once when it was to be put back.
    refused: bool,
}

impl Operation {
    fn new(action: Action, seen: Seen, world: &mut World) -> Self {
        let result = Err(Refused::Conflict);
        let mut new = Self {
            action,
            seen,
            stage: Stage::Write,
            lands: None,
            sent: 0,
            answers: 0,
            answer_is_lost: false,
            result,
            written: None,
            refused: false,
        };
        new.send(world);
        new
    }

    fn send(&mut self, world: &mut World) {
        let lost = !world.calm && world.chance(8);
        let takes = if lost || world.chance(10) { world.random.u64(..=WRITE_DEADLINE) } else { world.random.u64(..2) };
        self.lands = (!lost || world.chance(50)).then_some(world.time + takes);
        self.sent = world.time;
        // An error may be answered before the write takes effect.
        let early = lost && world.chance(30);
        self.answers = world.time
            + if early {
                0
            } else if lost {
                WRITE_DEADLINE
            } else {
                takes
            };
        self.answer_is_lost = lost;
    }

    /// Takes effect if it is time. A second copy of a request changes nothing: its precondition does not hold any more.
    pub(crate) fn land(&mut self, world: &mut World, observer: &mut Observer) -> bool {
        if self.lands.is_none_or(|lands| lands > world.time) {
            return false;
        }
        self.lands = None;
        if self.stage == Stage::ReadNode {
            return true;
        }
        let on = (self.stage == Stage::PutBack).then(|| self.written.as_ref().unwrap().resource_version().unwrap());
        self.result = world.order(&self.action, on.as_deref());
        if self.result.is_ok() && self.stage == Stage::Write {
            observer.wrote(world, &self.action, self.seen);
        }
        if world.chance(5) {
            assert!(world.order(&self.action, on.as_deref()).is_err(), "a doubled write takes effect twice");
        }
        true
    }

    /// What became of it, once that is as known as it will ever be.
    fn finish(&mut self, world: &mut World) -> Option<Option<Outcome>> {
        if self.answers > world.time {
            return None;
        }
        match self.stage {
            _ if self.answer_is_lost => Some(Some(self.unknown())),
            Stage::Write => match self.result.clone() {
                Err(Refused::Conflict) => Some(None),
                Err(Refused::Gone) => Some(Some(Outcome::Gone)),
                Ok(_) if self.action.verb == Verb::Delete => Some(Some(Outcome::Gone)),
                Ok(stored) if self.action.takes_back_a_go() => {
                    self.written = Some(stored);
                    self.stage = Stage::ReadNode;
                    self.send(world);
                    None
                }
                Ok(stored) => Some(Some(Outcome::Stored(Box::new(stored)))),
            },
            Stage::ReadNode => {
                let written = self.written.clone().unwrap();
                let node = world.nodes.rows.get(&self.action.node);
                if node.is_some_and(|node| self.action.came_too_late(node)) {
                    self.stage = Stage::PutBack;
                    self.send(world);
                    return None;
                }
                Some(Some(Outcome::Stored(Box::new(written))))
            }
            Stage::PutBack => match self.result.clone() {
                Ok(stored) => Some(Some(Outcome::Stored(Box::new(stored)))),
                Err(Refused::Gone) => Some(Some(Outcome::Gone)),
                Err(Refused::Conflict) if self.refused => Some(Some(self.unknown())),
                Err(Refused::Conflict) => match taken_back(&self.action, world) {
                    Ok(found) => {
                        self.refused = true;
                        self.written = Some(found);
                        self.send(world);
                        None
                    }
                    Err(settled) => Some(Some(settled)),
                },
            },
        }
    }

    fn unknown(&self) -> Outcome {
        Outcome::Unknown(Box::new(self.action.clone()))
    }
}

/// The shadow as it is stored, if it still asks for what `action` wrote when it took a go back; else what that means.
fn taken_back(action: &Action, world: &World) -> Result<BottlerocketShadow, Outcome> {
    let Some(found) = world.shadows.rows.get(&action.shadow) else { return Err(Outcome::Gone) };
    let found = found.0.as_ref().unwrap().clone();
    let same = found.uid().as_ref() == Some(&action.uid) && found.spec == stored(&action.order);
    if same && action.takes_back_a_go() { Ok(found) } else { Err(Outcome::Stored(Box::new(found))) }
}

/// What became of a write whose answer was lost. A go that was taken back too late is put back.
fn settled(action: &Action, world: &mut World) -> Outcome {
    let found = match taken_back(action, world) {
        Ok(found) => found,
        Err(settled) => return settled,
    };
    let too_late = world.nodes.rows.get(&action.node).is_some_and(|node| action.came_too_late(node));
    let version = found.resource_version().filter(|_| too_late);
    let restored = version.map(|version| world.order(action, Some(&version)).unwrap());
    Outcome::Stored(Box::new(restored.unwrap_or(found)))
}

/// One controller that leads.
pub(crate) struct Process {
    rules: Rules,
    own: OwnWrites,
    parsed: Parsed,
    nodes: View<Node>,
    shadows: View<StoredShadow>,
    policies: View<StoredPolicy>,
    agents: View<()>,
    pub(crate) under_way: Vec<Operation>,
    /// Operations that were answered with an error and may take effect all the same.
    pub(crate) landing: Vec<Operation>,
    /// From when on an unknown outcome may be settled.
    settle_from: BTreeMap<String, u64>,
    acts_from: u64,
    /// How far its watches must have come before the first plan.
    must_show: Option<[usize; 4]>,
    wake_at: Option<Timestamp>,
    changed: bool,
}

impl Process {
    /// A controller whose watches begin with lists that are somewhat old, as from a cache.
    pub(crate) fn start(world: &mut World, rules: Rules, orderly: bool) -> Self {
        let wait = if orderly || rules.hasty { 0 } else { WRITE_DEADLINE };
        let mut new = Self {
            rules,
            own: OwnWrites::default(),
            parsed: Parsed::default(),
            nodes: View::new(),
            shadows: View::new(),
            policies: View::new(),
            agents: View::new(),
            under_way: Vec::new(),
            landing: Vec::new(),
            settle_from: BTreeMap::new(),
            acts_from: world.time + wait,
            must_show: None,
            wake_at: None,
            changed: true,
        };
        let ends = lengths(world);
        let [nodes, shadows, policies, agents] = ends.map(|end| end.saturating_sub(world.random.usize(..30)));
        new.nodes.advance(&world.nodes, nodes);
        new.shadows.advance(&world.shadows, shadows);
        new.policies.advance(&world.policies, policies);
        new.agents.advance(&world.agents, agents);
        new
    }

    /// Time passes; says whether anything happened.
    pub(crate) fn step(&mut self, world: &mut World, observer: &mut Observer) -> bool {
        self.watch(world);
        let mut busy = false;
        for operation in self.under_way.iter_mut().chain(&mut self.landing) {
            busy |= operation.land(world, observer);
        }
        self.landing.retain(|operation| operation.lands.is_some());
        for mut operation in std::mem::take(&mut self.under_way) {
            match operation.finish(world) {
                None => self.under_way.push(operation),
                Some(outcome) => {
                    busy = true;
                    self.changed = true;
                    self.settle_from.insert(operation.action.shadow.clone(), operation.sent + WRITE_DEADLINE);
                    if let Some(outcome) = outcome {
                        self.own.note(&operation.action.shadow, outcome);
                    }
                    if operation.lands.is_some() {
                        self.landing.push(operation);
                    }
                }
            }
        }
        let woken = self.wake_at.is_some_and(|at| at <= world.now());
        if self.under_way.is_empty() && (self.changed || woken) && self.may_plan(world) {
            busy |= self.round(world, observer);
        }
        busy || !self.under_way.is_empty() || self.changed
    }

    /// Each watch lags behind by itself.
    fn watch(&mut self, world: &mut World) {
        let ends = lengths(world);
        let at = [self.nodes.at, self.shadows.at, self.policies.at, self.agents.at];
        let mut to = ends;
        for kind in 0..4 {
            match world.random.u32(..4) {
                0 if !world.calm => to[kind] = at[kind],
                1 if !world.calm => to[kind] = at[kind] + 1,
                _ => {}
            }
        }
        self.changed |= self.nodes.advance(&world.nodes, to[0]);
        self.changed |= self.shadows.advance(&world.shadows, to[1]);
        self.changed |= self.policies.advance(&world.policies, to[2]);
        self.changed |= self.agents.advance(&world.agents, to[3]);
    }

    fn may_plan(&mut self, world: &World) -> bool {
        if self.rules.hasty {
            return true;
        }
        if world.time < self.acts_from {
            self.changed = true;
            return false;
        }
        let must_show = *self.must_show.get_or_insert_with(|| lengths(world));
        let at = [self.nodes.at, self.shadows.at, self.policies.at, self.agents.at];
        at.iter().zip(must_show).all(|(at, end)| *at >= end)
    }

    fn round(&mut self, world: &mut World, observer: &mut Observer) -> bool {
        self.settle(world);
        let snapshot = self.snapshot(world.now());
        let plan = (self.rules.plan)(&snapshot);
        if !self.rules.unchecked
            && let Some(objection) = check(&snapshot, &plan).first()
        {
            observer.breach(world, Breach::Refused(objection.broken), &format!("{objection:?}"));
        }
        self.changed = !self.own.unknown().is_empty();
        self.wake_at = plan.wake_at;
        let seen =
            Seen { nodes: self.nodes.at, policies: self.policies.at, agents: self.agents.at, shadows: self.shadows.at };
        observer.planned(&plan);
        self.publish(world, &snapshot, &plan);
        for action in plan.actions {
            let operation = Operation::new(action, seen, world);
            self.under_way.push(operation);
        }
        !self.under_way.is_empty()
    }

    /// Says of nodes and versions what the plan says, as far as a later plan reads it: not why a node is held, and no counts. Such
    /// a write has no version as its precondition and may be lost.
    fn publish(&mut self, world: &mut World, snapshot: &Snapshot, plan: &Plan) {
        for said in shadow_status::changed(snapshot, plan) {
            let known = snapshot.shadows[&said.node].readable().unwrap();
            let clock = |all: &[Condition]| all.iter().find(|condition| condition.type_ == BOOTED).cloned();
            let verdict = known.report.as_ref().and_then(|report| report.failed.as_ref()).map(Failed::stored);
            let news = (clock(&said.conditions), &said.failed) != (clock(&known.conditions), &verdict);
            if news && (world.calm || !world.chance(8)) {
                world.say(&said.node, &said.uid, clock(&said.conditions), said.failed);
            }
        }
        for (policy, releases) in &plan.releases {
            let facts = &snapshot.policies[policy];
            let known = facts.status.clone().unwrap_or_default();
            let versions: Vec<_> = releases.iter().map(|(version, release)| entry(version, release)).collect();
            let rule = facts.accepted.iter().flat_map(|accepted| &accepted.versions.after);
            let under: Vec<_> = rule.map(PromotionStep::from).collect();
            let news = (&known.versions, &known.promoted_under) != (&versions, &under);
            if news && (world.calm || !world.chance(8)) {
                world.know(policy, &facts.uid, versions, under);
            }
        }
    }

    /// Reads what became of the writes whose answers were lost.
    fn settle(&mut self, world: &mut World) {
        for (shadow, action) in self.own.unknown().clone() {
            let landed = self.settle_from.get(&shadow).is_none_or(|from| *from < world.time);
            if landed && (world.calm || !world.chance(20)) {
                let outcome = settled(&action, world);
                self.own.note(&shadow, outcome);
            }
        }
    }

    fn snapshot(&mut self, now: Timestamp) -> Snapshot {
        if self.rules.forgetful {
            self.own = OwnWrites::default();
        }
        self.own.forget_seen(self.shadows.rows.values().map(AsRef::as_ref));
        let objects = Objects {
            nodes: self.nodes.rows.values().map(AsRef::as_ref).collect(),
            shadows: self.shadows.rows.values().map(|shadow| self.own.newest(shadow)).collect(),
            policies: self.policies.rows.values().map(AsRef::as_ref).collect(),
            agents_ready: self.agents.rows.keys().cloned().collect::<BTreeSet<_>>(),
        };
        let mut snapshot = self.parsed.snapshot(now, &objects);
        self.own.obscure_unknown(&mut snapshot.shadows);
        snapshot
    }
}

fn lengths(world: &World) -> [usize; 4] {
    [world.nodes.log.len(), world.shadows.log.len(), world.policies.log.len(), world.agents.log.len()]
}

/// What a later plan reads of it: no counts.
fn entry(version: &Version, release: &Release) -> VersionSeen {
    VersionSeen { eligible_at: None, nodes: 0, failed: 0, ..version_seen(version, release) }
}
