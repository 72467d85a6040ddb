//! One cluster's course: a while of faults, then calm until everything has arrived.

use std::collections::BTreeMap;

use api::{State, names, shadow::FailureKind};
use semver::Version;
use serde_json::{Value, json};

use crate::{
    host::{Host, restore_abandoned, set_ready},
    observer::{Breach, Observer},
    process::{Operation, Process, Rules},
    world::World,
};

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

    fn random_spec(&mut self, pool: &str) -> Value {
        let random = &mut self.world.random;
        let limits = [json!(1), json!(1), json!(2), json!("40%"), json!("unlimited")];
        let unavailable = [json!(null), json!(null), json!(1), json!(2), json!("60%")];
        let drains = [json!(null), json!({"timeout": "10m"}), json!({"timeout": "1h", "onTimeout": "Force"})];
        let nights = json!({"windows": [{"start": "*/15 * * * *", "duration": "6m"}]});
        let schedules = [json!(null), nights];
        let first = json!({"after": [{"policy": POOLS[0], "soak": "2m"}]});
        let ranges = [json!(null), json!({"constraint": "<1.21"}), json!({"minimumAge": "5m"})];
        let versions = ranges.into_iter().chain((pool != POOLS[0]).then_some(first)).collect::<Vec<_>>();
        let gates = [json!(null), json!({"minReadySeconds": 20, "timeout": "3m"})];
        let halts = [json!(null), json!({"haltAfter": 2}), json!({"haltAfter": 3})];
        let mut spec = json!({
            "nodeSelector": {"matchLabels": {"pool": pool}},
            "priority": 0,
            "maxConcurrentUpdates": limits[random.usize(..limits.len())],
            "maxUnavailable": unavailable[random.usize(..unavailable.len())],
            "topologyKey": (random.u32(..100) < 30).then_some("zone"),
            "drain": drains[random.usize(..drains.len())],
            "schedule": schedules[random.usize(..schedules.len())],
            "versions": versions[random.usize(..versions.len())],
            "health": gates[random.usize(..gates.len())],
            "failures": halts[random.usize(..halts.len())],
            "paused": false,
        });
        if self.rules.plain {
            spec.as_object_mut()
                .unwrap()
                .retain(|field, _| !["schedule", "versions", "health", "failures"].contains(&field.as_str()));
            spec["failures"] = json!({"haltAfter": "100%"});
        }
        spec
    }

    fn set_policy(&mut self, pool: &'static str, spec: Value) {
        self.world.put_policy(pool, &spec);
        if spec["paused"] == true {
            self.observer.paused_since.entry(pool.to_owned()).or_insert(self.world.time);
        } else {
            self.observer.paused_since.remove(pool);
        }
        self.specs.insert(pool, spec);
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
        self.observer.looks_at_gos(&self.world);
        busy
    }

    fn fault(&mut self) {
        if !self.world.chance(15) {
            return;
        }
        if self.rules.hasty && self.world.chance(50) {
            // What it does wrong it does in its first seconds.
            self.change_leader();
        }
        let at = self.world.random.usize(..self.hosts.len());
        let name = self.hosts[at].name.clone();
        let down = self.hosts[at].is_down();
        match self.world.random.u32(..18) {
            0 | 1 => self.change_leader(),
            2 | 3 | 14 => self.edit_policy(),
            4 if !down => set_ready(&mut self.world, &name, false),
            5 | 6 if !down => set_ready(&mut self.world, &name, true),
            7 if !down => {
                let ready = self.world.chance(60);
                self.world.set_agent_ready(&name, ready);
            }
            8 => {
                let held = self.world.chance(40);
                let hanging = self.hosts.iter().find(|host| held && host.hangs(&self.world));
                let name = hanging.map_or(name, |host| host.name.clone());
                annotate(&mut self.world, &name, names::HOLD_ANNOTATION, held.then_some("a test"));
                self.observer.hold(&self.world, &name, held);
            }
            9 => {
                let managed = self.world.chance(70);
                self.label(&name, managed);
            }
            10 if !down => self.hosts[at].restart(&mut self.world),
            11 => self.delete_node(at),
            12 => self.cordon(&name),
            13 => {
                self.world.jump += self.world.random.i64(-300..300);
                self.observer.jumped = Some(self.world.time);
            }
            15 => self.move_node(&name),
            16 => self.hang(at),
            17 => self.offer_a_newer_version(),
            _ => {}
        }
    }

    /// Every host is offered a newer version from now on.
    fn offer_a_newer_version(&mut self) {
        if self.rules.plain {
            return;
        }
        self.hosts.iter_mut().for_each(|host| host.offered = Version::new(1, 21, 0));
        self.observer.offered_since.get_or_insert(self.world.time);
    }

    /// An agent hangs: one that has a go and has not used it, if there is any.
    fn hang(&mut self, at: usize) {
        let going = |host: &Host| {
            let shadow = self.world.shadow(&host.name);
            let going = shadow.is_some_and(|shadow| shadow.order.state == State::RebootedIntoUpdate);
            going && self.world.marks(&host.name).is_none()
        };
        let at = self.hosts.iter().position(going).unwrap_or(at);
        self.hosts[at].hang(&mut self.world);
    }

    /// Another controller leads; what the one before had under way takes effect late or never.
    fn change_leader(&mut self) {
        let idle = self.leader.under_way.is_empty() && self.leader.landing.is_empty();
        let orderly = idle && self.world.chance(50);
        if !orderly && !self.rules.hasty {
            // Until its lease has expired.
            for _ in 0..3 {
                self.late.append(&mut self.leader.under_way);
                self.late.append(&mut self.leader.landing);
                self.world.time += self.world.random.u64(1..5);
                for operation in &mut self.late {
                    operation.land(&mut self.world, &mut self.observer);
                }
            }
        }
        self.late.append(&mut self.leader.under_way);
        self.late.append(&mut self.leader.landing);
        self.leader = Process::start(&mut self.world, self.rules, orderly);
        self.observer.leads_since = self.world.time;
    }

    /// Somebody edits a policy: all of it, its nodes or its rank among the others alone; or deletes it.
    fn edit_policy(&mut self) {
        let pool = POOLS[self.world.random.usize(..2)];
        if self.world.chance(15) {
            self.world.remove_policy(pool);
            self.observer.moved = self.world.time;
            return;
        }
        let mut spec = if self.world.chance(50) { self.random_spec(pool) } else { self.specs[pool].clone() };
        spec["paused"] = json!(self.world.chance(40));
        if self.world.chance(50) {
            spec["nodeSelector"] = self.random_selector(pool);
        }
        if self.world.chance(30) {
            spec["priority"] = json!(self.world.random.i32(-1..2));
        }
        let known = self.specs[pool].clone();
        let exists = self.world.policies.rows.contains_key(pool);
        if !exists || ["nodeSelector", "priority"].iter().any(|field| spec[*field] != known[*field]) {
            self.observer.moved = self.world.time;
        }
        self.set_policy(pool, spec);
    }

    fn random_selector(&mut self, pool: &str) -> Value {
        let other = if pool == POOLS[0] { POOLS[1] } else { POOLS[0] };
        let by = |operator: &str, key: &str, values: Option<Value>| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let selectors = [
            json!({"matchLabels": {"pool": pool}}),
            json!({"matchLabels": {"pool": pool, "zone": "one"}}),
            json!({"matchLabels": {"pool": other}}),
            json!({}),
            by("In", "pool", Some(json!([pool, other]))),
            by("NotIn", "pool", Some(json!([other]))),
            by("Exists", "zone", None),
            by("DoesNotExist", "pool", None),
        ];
        selectors[self.world.random.usize(..selectors.len())].clone()
    }

    /// Somebody moves a node to the other pool.
    fn move_node(&mut self, name: &str) {
        self.observer.moved = self.world.time;
        self.world.edit_node(name, |node| {
            let pool = node.metadata.labels.as_mut().unwrap().get_mut("pool").unwrap();
            *pool = if pool == POOLS[0] { POOLS[1] } else { POOLS[0] }.to_owned();
        });
    }

    fn label(&mut self, name: &str, managed: bool) {
        if managed == self.world.is_managed(name) {
            return;
        }
        self.world.edit_node(name, |node| {
            let labels = node.metadata.labels.as_mut().unwrap();
            if managed {
                labels.insert(names::UPDATER_INTERFACE_LABEL.into(), names::UPDATER_INTERFACE_VERSION.into());
            } else {
                labels.remove(names::UPDATER_INTERFACE_LABEL);
            }
        });
        self.world.flipped(name);
        self.world.set_agent_ready(name, managed);
    }

    /// The Node goes away, and a machine of the same name comes in its place.
    fn delete_node(&mut self, at: usize) {
        let name = self.hosts[at].name.clone();
        let pool = self.world.nodes.rows[&name].metadata.labels.as_ref().unwrap()["pool"].clone();
        self.world.nodes.remove(&name);
        self.observer.hold(&self.world, &name, false);
        self.world.cordoned.remove(&name);
        self.world.set_agent_ready(&name, false);
        self.world.put_node(&name, &pool);
        self.world.set_agent_ready(&name, true);
        self.world.flipped(&name);
        let gone = std::mem::replace(&mut self.hosts[at], Host::new(name, false));
        self.hosts[at].original = gone.original;
        self.hosts[at].offered = gone.offered;
        self.hosts[at].failing = gone.failing;
        self.hosts[at].flaw = gone.flaw;
    }

    /// Somebody cordons a node that nobody else is at.
    fn cordon(&mut self, name: &str) {
        if self.world.marks(name).is_none() && !self.world.is_unschedulable(name) {
            self.world.set_marks(name, None, true);
            self.world.cordoned.insert(name.to_owned());
        }
    }

    /// The faults stop, and what stands in a node's way is taken away; but some cordons stay.
    fn calm(&mut self) {
        self.world.calm = true;
        for at in 0..self.hosts.len() {
            let name = self.hosts[at].name.clone();
            self.hosts[at].failing = 0;
            self.label(&name, true);
            annotate(&mut self.world, &name, names::HOLD_ANNOTATION, None);
            self.observer.hold(&self.world, &name, false);
            let failed = self.failed_on(&name).unwrap_or_else(|| self.hosts[at].offered.clone()).to_string();
            annotate(&mut self.world, &name, names::FAILURE_ACKNOWLEDGED_ANNOTATION, Some(&failed));
            if !self.hosts[at].is_down() {
                set_ready(&mut self.world, &name, true);
                self.world.set_agent_ready(&name, true);
            }
            // An original agent has activated by the time it has staged: its node keeps its place and waits behind a cordon.
            let lifted = self.hosts[at].original || self.world.chance(50);
            if lifted && self.world.cordoned.remove(&name) {
                self.world.edit_node(&name, |node| node.spec.as_mut().unwrap().unschedulable = Some(false));
            }
        }
    }

    /// The version that a node has failed on, as far as anybody knows.
    fn failed_on(&self, name: &str) -> Option<Version> {
        let report = self.world.shadow(name)?.report.clone()?;
        let fallback = report.failure.filter(|failure| failure.kind == FailureKind::Fallback);
        report.failed.map(|failed| failed.version).or_else(|| fallback.map(|failure| failure.version))
    }

    /// The last edit, after which every node has one policy. Cordons that stay would leave no room under `maxUnavailable`: that
    /// is not what is waited for.
    fn lift_what_holds(&mut self) {
        let layered = self.world.chance(30);
        for pool in POOLS {
            let mut spec = self.random_spec(pool);
            if layered && pool == POOLS[0] {
                spec["nodeSelector"] = json!({});
                spec["priority"] = json!(-1);
            }
            if !self.world.cordoned.is_empty() {
                spec["maxUnavailable"] = json!(null);
            }
            if self.world.chance(80) {
                // To wait for windows takes many turns.
                spec["schedule"] = json!(null);
            }
            // Of what holds a version only its age passes by itself.
            if spec["versions"]["minimumAge"].is_null() {
                spec["versions"] = json!(null);
            }
            self.set_policy(pool, spec);
        }
    }

    fn has_arrived(&self, host: &Host) -> bool {
        let rests = self.world.shadow(&host.name).is_some_and(|shadow| {
            shadow.order.state == State::Idle
                && shadow.report.as_ref().is_some_and(|report| report.state == State::Idle)
        });
        let exempt = self.world.cordoned.contains(&host.name);
        rests && self.world.marks(&host.name).is_none() && (exempt || host.running == host.offered)
    }

    fn is_done(&self) -> bool {
        self.observer.last_plan_was_empty && self.hosts.iter().all(|host| self.has_arrived(host))
    }

    fn left(&self) -> String {
        let left = self.hosts.iter().filter(|host| !self.has_arrived(host));
        let line = |host: &Host| {
            let shadow = self.world.shadow(&host.name);
            format!(
                "{} original={} running {} marks {:?} cordoned {} {:?}",
                host.name,
                host.original,
                host.running,
                self.world.marks(&host.name),
                self.world.is_unschedulable(&host.name),
                shadow.map(|shadow| (shadow.order.clone(), shadow.report.clone())),
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

fn annotate(world: &mut World, name: &str, key: &str, value: Option<&str>) {
    world.edit_node(name, |node| {
        let annotations = node.metadata.annotations.get_or_insert_default();
        match value {
            Some(value) => annotations.insert(key.to_owned(), value.to_owned()),
            None => annotations.remove(key),
        };
    });
}
