//! One controller: the real rules over watches that lag behind, and writes that are slow, lost or doubled.

mod operation;
mod publish;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use controller::check::check;
use controller::own_writes::OwnWrites;
use controller::plan::Plan;
use controller::snapshot::{Objects, Parsed, Snapshot, WatchedNode, WatchedShadow};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;

use crate::host::Flaw;
use crate::observer::{Breach, Observer};
use crate::world::{StoredPolicy, StoredShadow, View, World};
pub(crate) use operation::Operation;
use operation::settled;

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
    /// The policies say nothing of windows, versions, health and failures, which end an approval as well.
    pub(crate) plain: bool,
    /// The agents and their apiserver are broken instead.
    pub(crate) flaw: Flaw,
}

/// One controller that leads.
pub(crate) struct Process {
    rules: Rules,
    own: OwnWrites,
    parsed: Parsed,
    nodes: View<Node, WatchedNode>,
    shadows: View<StoredShadow, WatchedShadow>,
    policies: View<StoredPolicy, Rc<StoredPolicy>>,
    agents: View<(), ()>,
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
            nodes: View::new(|node| WatchedNode::try_from((**node).clone()).unwrap()),
            shadows: View::new(|shadow| WatchedShadow::from(&**shadow)),
            policies: View::new(Rc::clone),
            agents: View::new(|_| ()),
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
        self.own.forget_seen(self.shadows.rows.values());
        let objects = Objects {
            nodes: self.nodes.rows.values().collect(),
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
