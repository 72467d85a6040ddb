//! One cluster's course: a while of faults, then calm until everything has arrived.

mod calm;
mod faults;
mod policies;

use std::collections::BTreeMap;

use api::State;
use serde_json::Value;

use crate::host::{Host, restore_abandoned};
use crate::observer::{Breach, Observer};
use crate::process::{Operation, Process, Rules};
use crate::world::World;

const POOLS: [&str; 2] = ["blue", "green"];
/// How long the faults last, in turns of a few seconds.
const FAULTY_TURNS: u32 = 250;
/// How long all may take once the faults have stopped, in seconds: a node may have to wait out a day's back-off, and another
/// after it.
const PATIENCE: u64 = 4 * 24 * 3600;

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) breach: Option<(Breach, String)>,
    pub(crate) arrived: usize,
    pub(crate) starts: usize,
    pub(crate) reboots: usize,
    pub(crate) seconds: u64,
}

struct Course {
    world: World,
    observer: Observer,
    hosts: Vec<Host>,
    leader: Process,
    /// Writes of controllers that are gone, still under way.
    late: Vec<Operation>,
    specs: BTreeMap<&'static str, Value>,
    rules: Rules,
}

pub(crate) fn run(seed: u64, rules: Rules) -> End {
    let mut course = Course::new(seed, rules);
    for _ in 0..FAULTY_TURNS {
        course.fault();
        course.turn(9);
        if course.observer.breach.is_some() {
            return course.end();
        }
    }
    course.calm();
    course.lift_what_holds();
    let deadline = course.world.time + PATIENCE;
    let mut quiet = 1;
    while !course.is_done() {
        // When nothing happens the next thing is far away.
        quiet = if course.turn(quiet) { 5 } else { (quiet * 2).min(1800) };
        if course.world.time > deadline {
            let left = course.left();
            course.observer.breach(&course.world, Breach::NoProgress, &left);
        }
        if course.observer.breach.is_some() {
            return course.end();
        }
    }
    course.look_at_what_is_left();
    course.end()
}

impl Course {
    fn new(seed: u64, rules: Rules) -> Self {
        let mut world = World::new(seed);
        let count = world.random.usize(4..9);
        let mut hosts = Vec::new();
        for at in 0..count {
            let name = format!("n{at}");
            let pool = POOLS[world.random.usize(..2)];
            world.put_node(&name, pool);
            world.set_agent_ready(&name, true);
            let mut host = Host::new(name, world.chance(20));
            host.failing = world.random.u32(..8);
            host.flaw = rules.flaw;
            hosts.push(host);
        }
        let specs = BTreeMap::new();
        let leader = Process::start(&mut world, rules, true);
        let mut course = Self { world, observer: Observer::default(), hosts, leader, late: Vec::new(), specs, rules };
        for pool in POOLS {
            let spec = course.random_spec(pool);
            course.set_policy(pool, spec);
        }
        course
    }

    /// A few seconds pass; says whether anything happened.
    fn turn(&mut self, most: u64) -> bool {
        self.world.time += self.world.random.u64(1..=most.max(1));
        let mut busy = false;
        for operation in &mut self.late {
            operation.land(&mut self.world, &mut self.observer);
        }
        let agents_first = self.world.chance(50);
        if !agents_first {
            busy |= self.leader.step(&mut self.world, &mut self.observer);
        }
        for at in 0..self.hosts.len() {
            if self.world.calm || self.world.chance(50) {
                busy |= self.hosts[at].step(&mut self.world, &mut self.observer);
            }
            if self.world.calm || self.world.chance(5) {
                let name = self.hosts[at].name.clone();
                restore_abandoned(&mut self.world, &name);
            }
        }
        if agents_first {
            busy |= self.leader.step(&mut self.world, &mut self.observer);
        }
        self.observer.looks_at_approvals(&self.world);
        busy
    }

    fn has_arrived(&self, host: &Host) -> bool {
        let rests = self.world.shadow(&host.name).is_some_and(|shadow| {
            shadow.desired.state == State::Idle
                && shadow.observed.as_ref().is_some_and(|report| report.state == State::Idle)
        });
        let exempt = self.world.cordoned.contains(&host.name);
        rests && self.world.record(&host.name).is_none() && (exempt || host.running == host.offered)
    }

    fn is_done(&self) -> bool {
        self.observer.last_plan_was_empty && self.hosts.iter().all(|host| self.has_arrived(host))
    }

    fn left(&self) -> String {
        let left = self.hosts.iter().filter(|host| !self.has_arrived(host));
        let line = |host: &Host| {
            let shadow = self.world.shadow(&host.name);
            format!(
                "{} original={} running {} record {:?} cordoned {} {:?}",
                host.name,
                host.original,
                host.running,
                self.world.record(&host.name),
                self.world.is_unschedulable(&host.name),
                shadow.map(|shadow| (shadow.desired.clone(), shadow.observed.clone())),
            )
        };
        left.map(line).collect::<Vec<_>>().join("\n")
    }

    fn look_at_what_is_left(&mut self) {
        for host in &self.hosts {
            let cordoned = self.world.is_unschedulable(&host.name);
            if cordoned != self.world.cordoned.contains(&host.name) {
                self.observer.breach(&self.world, Breach::NotRestored, &host.name);
            }
        }
    }

    fn end(self) -> End {
        End {
            arrived: self.hosts.iter().filter(|host| host.running == host.offered).count(),
            breach: self.observer.breach,
            starts: self.observer.starts,
            reboots: self.observer.reboots,
            seconds: self.world.time,
        }
    }
}
