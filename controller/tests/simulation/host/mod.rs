//! Nodes and their agents, ours and original, and what the operator's apiserver does for them.

mod disrupt;
mod node;
mod report;
mod update;

use api::{ApprovalId, Shadow, State, names};
use kube::ResourceExt as _;
use semver::Version;

use crate::observer::Observer;
use crate::world::World;
use node::create;
pub(crate) use node::{restore, restore_abandoned, set_ready};

/// An agent's call to the apiserver that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    None,
    /// The record is written, the shadow not read yet.
    Recorded(ApprovalId),
    Draining(ApprovalId, u64),
}

/// How an agent and its apiserver are broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Reboots without having drained.
    Reckless,
    /// Removes the record and leaves the cordon.
    Careless,
    /// Begins under an approval that has expired.
    Late,
    /// Takes a drain that has begun for one that has ended.
    Impatient,
    /// Stages what is offered, whatever is asked for.
    Astray,
}

/// One machine with its agent.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) original: bool,
    pub(crate) running: Version,
    pub(crate) offered: Version,
    image: Option<Version>,
    active: bool,
    boots: u32,
    down_until: Option<u64>,
    /// The agent does nothing before this, though its pod is Ready.
    hangs_until: u64,
    call: Call,
    drained: Option<ApprovalId>,
    /// Percent of what can fail that does.
    pub(crate) failing: u32,
    /// How it is broken on purpose.
    pub(crate) flaw: Flaw,
}

impl Host {
    pub(crate) fn new(name: String, original: bool) -> Self {
        Self {
            name,
            original,
            running: Version::new(1, 19, 0),
            offered: Version::new(1, 20, 0),
            image: None,
            active: false,
            boots: 0,
            down_until: None,
            hangs_until: 0,
            call: Call::None,
            drained: None,
            failing: 0,
            flaw: Flaw::None,
        }
    }

    /// Nothing moves on the machine before this.
    pub(crate) const fn is_down(&self) -> bool {
        self.down_until.is_some()
    }

    /// The agent, or its connection to the apiserver, hangs.
    pub(crate) fn hang(&mut self, world: &mut World) {
        self.hangs_until = world.time + world.random.u64(30..900);
    }

    pub(crate) const fn hangs(&self, world: &World) -> bool {
        self.hangs_until > world.time
    }

    /// The machine restarts for whatever reason.
    pub(crate) fn restart(&mut self, world: &mut World) {
        self.down_until = Some(world.time + world.random.u64(20..200));
        self.call = Call::None;
        self.drained = None;
        world.set_agent_ready(&self.name, false);
        set_ready(world, &self.name, false);
    }

    fn boot(&mut self, world: &mut World) {
        self.down_until = None;
        self.boots += 1;
        if self.active && !world.chance(self.failing) {
            self.running = self.image.take().unwrap();
        }
        self.active = false;
        self.image = None;
        let boot = self.boot_id();
        world.edit_node(&self.name, |node| {
            node.status.as_mut().unwrap().node_info.as_mut().unwrap().boot_id = boot;
        });
        set_ready(world, &self.name, true);
        world.set_agent_ready(&self.name, true);
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.boots)
    }

    /// The agent does one thing; says whether it did anything.
    pub(crate) fn step(&mut self, world: &mut World, observer: &mut Observer) -> bool {
        if let Some(until) = self.down_until {
            if until <= world.time {
                self.boot(world);
            }
            return true;
        }
        if self.hangs(world) {
            return false;
        }
        if !world.is_managed(&self.name) {
            self.call = Call::None;
            return false;
        }
        let Some(shadow) = world.shadow(&self.name) else {
            create(world, &self.name);
            return true;
        };
        let uid = world.nodes.rows[&self.name].uid().unwrap();
        if shadow.node.uid != uid {
            return false;
        }
        // Sometimes it still sees what was there before: its report is refused then, if it is ours.
        let stale = world.chance(10).then(|| before(world, &self.name)).flatten();
        let seen = stale.filter(|stale| stale.uid == shadow.uid).map_or(shadow, std::rc::Rc::new);
        let Some(report) = &seen.observed else {
            // What was done under an earlier shadow is undone first.
            restore(world, &self.name);
            return self.report(world, &seen, |_| {});
        };
        match seen.desired.state {
            State::Idle | State::ErrorReset => self.rest(world, &seen, report.state),
            State::MonitoringUpdate if report.state == State::MonitoringUpdate => false,
            State::MonitoringUpdate => self.restore(world, &seen, State::MonitoringUpdate),
            State::StagedAndPerformedUpdate => self.stage(world, &seen, report.state),
            State::RebootedIntoUpdate => self.approval(world, &seen, observer),
        }
    }
}

fn before(world: &World, node: &str) -> Option<Shadow> {
    let name = names::shadow_name(node);
    let mut seen = world.shadows.log.iter().rev().filter(|(of, _)| *of == name);
    let raw = seen.nth(1)?.1.as_ref()?;
    Shadow::try_from(raw.0.as_ref().unwrap()).ok()
}
