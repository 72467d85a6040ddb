//! Nodes and their agents, ours and original, and what the operator's apiserver does for them.

use api::{
    BottlerocketShadow, GoId, Marks, Shadow, State, names,
    shadow::{AgentFailure, BottlerocketShadowSpec, BottlerocketShadowStatus, FailureKind, Order, RebootIntent},
    timestamp,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use semver::Version;

use crate::{observer::Observer, world::World};

/// An agent's call to the apiserver that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    None,
    /// The mark is written, the shadow not read yet.
    Marked(GoId),
    Draining(GoId, u64),
}

/// How an agent and its apiserver are broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Reboots without having drained.
    Reckless,
    /// Takes the marks away and leaves the cordon.
    Careless,
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
    drained: Option<GoId>,
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

    /// The agent, or the way to its apiserver, hangs.
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
        let Some(report) = &seen.report else {
            // What an earlier shadow has left behind is given back first.
            restore(world, &self.name);
            return self.report(world, &seen, |_| {});
        };
        match seen.order.state {
            State::Idle | State::ErrorReset => self.rest(world, &seen, report.state),
            State::MonitoringUpdate if report.state == State::MonitoringUpdate => false,
            State::MonitoringUpdate => self.give_back(world, &seen, State::MonitoringUpdate),
            State::StagedAndPerformedUpdate => self.stage(world, &seen, report.state),
            State::RebootedIntoUpdate => self.go(world, &seen, observer),
        }
    }

    fn rest(&mut self, world: &mut World, seen: &Shadow, reported: State) -> bool {
        let newest = seen.report.as_ref().is_some_and(|report| report.target_version == self.offered);
        match reported {
            State::Idle => !newest && self.report(world, seen, |_| {}),
            State::MonitoringUpdate => self.report(world, seen, |status| status.current_state = State::Idle),
            _ => self.give_back(world, seen, State::Idle),
        }
    }

    fn give_back(&mut self, world: &mut World, seen: &Shadow, end: State) -> bool {
        self.active = false;
        self.call = Call::None;
        self.drained = None;
        let asked = world.shadow(&self.name).map(|shadow| shadow.order.state);
        if !matches!(asked, Some(State::Idle | State::MonitoringUpdate)) || world.chance(5) {
            return true;
        }
        if self.flaw == Flaw::Careless {
            world.set_marks(&self.name, None, world.is_unschedulable(&self.name));
        } else {
            restore(world, &self.name);
        }
        self.report(world, seen, |status| {
            status.current_state = end;
            status.rebooting = None;
            if end == State::MonitoringUpdate {
                status.crash_count = 0;
                status.state_transition_failure_timestamp = None;
                status.failure = None;
            }
        })
    }

    fn stage(&mut self, world: &mut World, seen: &Shadow, reported: State) -> bool {
        self.call = Call::None;
        // A node that failed its health gate may be started on a newer version.
        let fresh = reported == State::Idle || (reported == State::RebootedIntoUpdate && !self.original);
        if !fresh || Some(&self.running) == seen.order.version.as_ref() {
            return false;
        }
        if world.chance(self.failing) {
            return self.fail(world, seen, FailureKind::Stage);
        }
        self.image = seen.order.version.clone();
        self.active = self.original;
        self.report(world, seen, |status| {
            status.current_state = State::StagedAndPerformedUpdate;
            status.rebooting = None;
        })
    }

    fn go(&mut self, world: &mut World, seen: &Shadow, observer: &mut Observer) -> bool {
        let report = seen.report.as_ref().unwrap();
        let version = seen.order.version.clone().unwrap();
        let put_back = report.state == State::ErrorReset && self.running == version;
        if !put_back && matches!(report.state, State::RebootedIntoUpdate | State::ErrorReset | State::MonitoringUpdate)
        {
            return false;
        }
        if self.running == version {
            return self.report(world, seen, |status| status.current_state = State::RebootedIntoUpdate);
        }
        if report.rebooting.as_ref().is_some_and(|intent| intent.boot_id != self.boot_id()) {
            return self.fail(world, seen, FailureKind::Fallback);
        }
        if self.image.as_ref() != Some(&version) {
            self.image = Some(version);
            self.active = self.original;
            return true;
        }
        let Some(go) = seen.order.go() else { return false };
        if self.drained.as_ref() != Some(&go) && self.flaw != Flaw::Reckless {
            return self.disrupt(world, seen, go, observer);
        }
        if !self.active {
            self.active = true;
            return true;
        }
        let boot_id = self.boot_id();
        if !self.original && report.rebooting.is_none() {
            let intent = RebootIntent { version: version.to_string(), from_version: self.running.to_string(), boot_id };
            return self.report(world, seen, |status| status.rebooting = Some(intent));
        }
        // The drain is asked for once more, which answers at once while the go and its marks are there. Not so an original.
        let there = world.shadow(&self.name).is_some_and(|shadow| shadow.order.go() == Some(go.clone()))
            && world.marks(&self.name).is_some_and(|marks| marks.go == go && marks.cordoned);
        if !self.original && self.flaw != Flaw::Reckless && !there {
            self.drained = None;
            return true;
        }
        observer.reboots(world, &self.name, &version);
        self.restart(world);
        true
    }

    /// Cordon and drain, as the apiserver does it: the mark first, then the shadow is read, and only then is it cordoned.
    fn disrupt(&mut self, world: &mut World, seen: &Shadow, go: GoId, observer: &mut Observer) -> bool {
        let now = world.now();
        let order = world.shadow(&self.name).map(|shadow| shadow.order.clone()).unwrap_or_default();
        let marks = world.marks(&self.name);
        let cordoned = world.is_unschedulable(&self.name);
        let here = order.go().as_ref() == Some(&go);
        match self.call.clone() {
            Call::None => {
                let ours = marks.as_ref().is_some_and(|marks| marks.go == go);
                if !here || (!ours && !in_time(&order, now)) || (cordoned && marks.is_none()) {
                    return false;
                }
                let first = Marks::first(go.clone(), now, false, None);
                if !ours {
                    let marks = marks.map_or(first, |marks| Marks { go: go.clone(), drain_began: None, ..marks });
                    world.set_marks(&self.name, Some(&marks), cordoned);
                    // The apiserver may be killed here and leave its mark.
                    self.call = if world.chance(5) { Call::None } else { Call::Marked(go) };
                    return true;
                }
                self.call = Call::Marked(go);
                true
            }
            Call::Marked(called) => {
                let Some(marks) = marks.filter(|marks| marks.go == called) else {
                    self.call = Call::None;
                    return true;
                };
                if called != go || !here || (!marks.cordoned && !in_time(&order, now)) {
                    self.call = Call::None;
                    if !marks.cordoned {
                        world.set_marks(&self.name, None, cordoned);
                    }
                    return true;
                }
                if !marks.cordoned {
                    observer.disrupts(world, &self.name, &order);
                }
                let marks = Marks { cordoned: true, drain_began: Some(now), ..marks };
                world.set_marks(&self.name, Some(&marks), true);
                self.call = Call::Draining(go, world.time + world.random.u64(5..300));
                true
            }
            Call::Draining(called, until) => {
                let goes_on = called == go && here && marks.is_some_and(|marks| marks.go == go);
                if !goes_on {
                    self.call = Call::None;
                } else if !cordoned || (until <= world.time && !self.original && world.chance(self.failing)) {
                    self.call = Call::None;
                    return self.fail(world, seen, FailureKind::Drain);
                } else if until <= world.time {
                    self.call = Call::None;
                    self.drained = Some(go);
                }
                true
            }
        }
    }

    fn fail(&mut self, world: &mut World, seen: &Shadow, kind: FailureKind) -> bool {
        let time = timestamp::render(world.now());
        let report = seen.report.as_ref().unwrap();
        let before = report.failure.as_ref().filter(|failure| failure.kind == kind).map_or(0, |f| f.attempts);
        let version = seen.order.version.as_ref().unwrap().to_string();
        let original = self.original;
        self.report(world, seen, |status| {
            status.current_state = State::ErrorReset;
            if kind != FailureKind::Drain {
                status.crash_count += 1;
                status.state_transition_failure_timestamp = Some(time.clone());
            }
            if !original {
                status.failure = Some(AgentFailure { kind, version, time, attempts: Some(i64::from(before) + 1) });
            }
        })
    }

    /// Replaces the status: ours only if nothing was written since it was read.
    fn report(&self, world: &mut World, seen: &Shadow, edit: impl FnOnce(&mut BottlerocketShadowStatus)) -> bool {
        let Some(mut raw) = world.raw_shadow(&self.name).cloned() else { return true };
        if !self.original && raw.resource_version().as_ref() != Some(&seen.resource_version) {
            return true;
        }
        let mut status = raw.status.take().unwrap_or_else(|| self.first_status());
        status.current_version = self.running.to_string();
        status.target_version = self.offered.to_string();
        let offered = [Version::new(1, 21, 0), Version::new(1, 20, 0)].into_iter().filter(|v| *v <= self.offered);
        status.available_versions = (!self.original).then(|| offered.map(|version| version.to_string()).collect());
        edit(&mut status);
        raw.status = Some(status);
        world.put_shadow(&self.name, raw);
        true
    }

    fn first_status(&self) -> BottlerocketShadowStatus {
        serde_json::from_value(serde_json::json!({
            "current_state": "Idle", "crash_count": 0, "current_version": self.running, "target_version": self.offered,
            "agent_version": (!self.original).then_some("0.1.0"),
        }))
        .unwrap()
    }
}

fn in_time(order: &Order, now: jiff::Timestamp) -> bool {
    order.disrupt_not_after.is_some_and(|expiry| expiry.duration_since(now).as_secs() >= 5)
}

fn before(world: &World, node: &str) -> Option<Shadow> {
    let name = names::shadow_name(node);
    let mut seen = world.shadows.log.iter().rev().filter(|(of, _)| *of == name);
    let raw = seen.nth(1)?.1.as_ref()?;
    Shadow::try_from(raw.0.as_ref().unwrap()).ok()
}

fn create(world: &mut World, node: &str) {
    let mut shadow = BottlerocketShadow::new(&names::shadow_name(node), BottlerocketShadowSpec::default());
    let uid = world.nodes.rows[node].uid().unwrap();
    shadow.metadata.uid = Some(format!("shadow-{}-{}", uid, world.shadows.log.len()));
    let owner = OwnerReference {
        api_version: "v1".into(),
        kind: "Node".into(),
        name: node.into(),
        uid,
        ..OwnerReference::default()
    };
    shadow.metadata.owner_references = Some(vec![owner]);
    world.put_shadow(node, shadow);
}

pub(crate) fn set_ready(world: &mut World, name: &str, ready: bool) {
    let status = if ready { "True" } else { "False" };
    world.edit_node(name, |node| {
        node.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].status = status.to_owned();
    });
}

/// Undoes what the marks say and takes them away.
pub(crate) fn restore(world: &mut World, name: &str) {
    if let Some(marks) = world.marks(name) {
        let cordoned = if marks.cordoned { marks.cordoned_before } else { world.is_unschedulable(name) };
        world.set_marks(name, None, cordoned);
    }
}

/// What the apiserver gives back without an agent.
pub(crate) fn restore_abandoned(world: &mut World, name: &str) {
    if world.marks(name).is_none() {
        return;
    }
    let uid = world.nodes.rows[name].uid();
    let shadow = world.shadow(name).filter(|shadow| Some(&shadow.node.uid) == uid.as_ref());
    let silent = !world.agents.rows.contains_key(name);
    let idle = shadow.as_ref().is_some_and(|shadow| shadow.order.state == State::Idle);
    let reported = shadow.as_ref().and_then(|shadow| shadow.report.as_ref()).map(|report| report.state);
    if !world.is_managed(name) || shadow.is_none() || (idle && (silent || reported == Some(State::Idle))) {
        restore(world, name);
    }
}
