//! The judge: applies one event after the other and collects what was wrong about it.

mod apply;

use std::collections::BTreeMap;

use api::shadow::Desired;
use jiff::Timestamp;
use semver::Version;

use super::breach::Breach;
use super::cluster::Cluster;
use super::event::{Change, Event, HostChange, Seen};
use super::facts::{BudgetFacts, NodeFacts, PodFacts, PolicyFacts, ShadowFacts};
use super::memory::Memory;
use super::peaks::Counts;
use super::report::{Gap, Report};
use super::writes::{Write, Writes, written};
use super::{beginning, budgets, limits, pods, reboots, restore, timeline, versions};

/// Breaches kept.
const MOST_BREACHES: usize = 1_000;

/// Judges the events of one cluster, in the order in which they happened.
#[derive(Debug)]
pub struct Judge {
    namespace: String,
    cluster: Cluster,
    memories: BTreeMap<String, Memory>,
    /// The versions that hosts run, as far as they told.
    running: BTreeMap<String, Version>,
    counts: Counts,
    writes: Writes,
    report: Report,
    listed: Timestamp,
    latest: u64,
    /// The write that is being applied came too late to be judged.
    late: bool,
    now: Timestamp,
}

impl Judge {
    /// A judge that has seen nothing yet. `namespace` is the operator's.
    #[must_use]
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            cluster: Cluster::default(),
            memories: BTreeMap::new(),
            running: BTreeMap::new(),
            counts: Counts::default(),
            writes: Writes::default(),
            report: Report::default(),
            listed: Timestamp::UNIX_EPOCH,
            latest: 0,
            late: false,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Judges one event. A write that comes after later ones were judged is taken over and not judged.
    pub fn see(&mut self, event: Event) {
        match event {
            Event::Host { at, node, change } => self.host(at, &node, change),
            Event::Cluster { at, seen } => {
                self.now = self.now.max(at);
                let version = seen.version();
                self.late = version <= self.latest;
                self.latest = self.latest.max(version);
                self.report.late += u64::from(self.late);
                self.apply(*seen);
                self.late = false;
            }
        }
    }

    /// The watches show nothing from now on, until everything is [listed](Self::list) again.
    pub fn lose(&mut self, at: Timestamp, why: String) {
        // Before the first list nothing is expected to be seen.
        if self.report.since.is_some() && self.report.gaps.last().is_none_or(|gap| gap.until.is_some()) {
            self.report.gaps.push(Gap { from: at, until: None, why });
        }
    }

    /// Takes over the whole cluster as it is. What changed since it was seen last is not judged, except that Nodes which
    /// carry no record any more must be as they were before.
    pub fn list(&mut self, at: Timestamp, all: Vec<Seen>) {
        self.now = self.now.max(at);
        self.listed = self.now;
        self.report.since.get_or_insert(self.now);
        if let Some(gap) = self.report.gaps.last_mut() {
            gap.until.get_or_insert(at);
        }
        let before = std::mem::take(&mut self.cluster.nodes);
        self.cluster.forget();
        let mut policies = Vec::new();
        for seen in all {
            match seen {
                Seen::Node(Change::Applied(node)) => self.list_node(before.get(&node.name).map(|old| &old.facts), node),
                Seen::Shadow(Change::Applied(shadow)) => {
                    self.remember_spec(&shadow.node, shadow.readable().map(|shadow| &shadow.desired));
                    self.cluster.shadows.insert(shadow.node.clone(), shadow);
                }
                Seen::Policy(Change::Applied(policy)) => policies.push(policy),
                Seen::Pod(Change::Applied(pod)) => self.cluster.put_pod(self.now, pod),
                Seen::Budget(Change::Applied(budget)) => self.put_budget(budget),
                // A list has nothing that is gone.
                _ => {}
            }
        }
        self.cluster.views.replace(self.now, policies);
        self.cluster.settle();
        let names = before.keys().chain(self.cluster.nodes.keys()).cloned().collect::<Vec<_>>();
        names.iter().for_each(|name| self.count(name));
    }

    fn list_node(&mut self, before: Option<&NodeFacts>, node: NodeFacts) {
        let memory = self.memories.entry(node.name.clone()).or_default();
        let same = before.filter(|before| before.uid == node.uid);
        match (same, node.has_record()) {
            (None, _) => memory.forget_node(),
            (Some(old), false) => {
                let found = restore::restored(self.now, memory, old, &node);
                self.found(found);
            }
            // How it was before its first record was not seen.
            (Some(old), true) if !old.has_record() => memory.before = None,
            (Some(_), true) => {}
        }
        let memory = self.memories.entry(node.name.clone()).or_default();
        memory.begun = None;
        if let Some(record) = node.record() {
            memory.begin(&record.approval);
        }
        self.cluster.put_node(self.now, node);
    }

    /// What was seen so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let recorded = self.cluster.nodes.values().filter(|node| node.facts.has_record());
        Report {
            peaks: self.counts.peaks.clone(),
            recorded: recorded.map(|node| node.facts.name.clone()).collect(),
            ..self.report.clone()
        }
    }

    /// The breaches so far.
    #[must_use]
    pub fn breaches(&self) -> &[Breach] {
        &self.report.breaches
    }

    /// The resourceVersion of the newest write that was judged.
    #[must_use]
    pub const fn latest(&self) -> u64 {
        self.latest
    }

    /// The operator's writes to Nodes, shadows and policies after a resourceVersion.
    #[must_use]
    pub fn writes_since(&self, version: u64) -> Vec<Write> {
        self.writes.since(version)
    }

    fn found(&mut self, breaches: impl IntoIterator<Item = Breach>) {
        for breach in breaches.into_iter().filter(|_| !self.late) {
            if self.report.breaches.len() < MOST_BREACHES {
                self.report.breaches.push(breach);
            } else {
                self.report.breaches_dropped += 1;
            }
        }
    }

    fn count(&mut self, node: &str) {
        self.counts.count(self.now, &self.cluster, node);
    }

    fn tell(&mut self, node: &str, what: impl IntoIterator<Item = String>) {
        timeline::add(&mut self.report.timeline, self.now, node, what);
    }

    fn put_budget(&mut self, budget: BudgetFacts) {
        self.cluster.budgets.insert(format!("{}/{}", budget.namespace, budget.name), budget);
    }

    fn remember_spec(&mut self, node: &str, desired: Option<&Desired>) {
        if let Some(desired) = desired {
            self.memories.entry(node.to_owned()).or_default().desired(self.now, desired);
        }
    }
}

#[cfg(test)]
mod tests {
    use api::State;
    use serde_json::json;

    use super::*;
    use crate::observer::breach::Rule;
    use crate::observer::peaks::Peak;
    use crate::observer::samples::World;

    #[test]
    fn a_rollout_of_one_node_is_told_as_it_was() {
        let mut world = World::new(&["a", "b"], json!(1));
        world.pod("web", "a", |_| ()).after(9).start("a").after(1).reports("a", State::StagedAndPerformedUpdate);
        world.approval("a").record("a").cordon("a").after(1).delete_pod("web").after(1);
        world.host("a", HostChange::Down { approved: true }).after(5);
        world.host("a", HostChange::Up { version: Version::new(1, 20, 0) });
        world.reports("a", State::RebootedIntoUpdate).finish("a").uncordon("a").reports("a", State::MonitoringUpdate);
        world.idle("a").after(2).reports("a", State::Idle).clean();
        let report = world.judge.report();
        let peak = Peak { in_flight: 1, disrupted: 1 };
        assert_eq!((report.peaks.overall, report.peaks.by_policy["default"]), (peak, peak));
        let (first, last) = (report.peaks.first_start.unwrap(), report.peaks.last_finish.unwrap());
        assert_eq!(last.duration_since(first).as_secs(), 10);
        assert_eq!((report.total_evictions(), report.reboots["a"], report.late), (1, 1, 0));
        assert_eq!(report.recorded, [""; 0]);
        let what: Vec<_> = report.timeline["a"].iter().map(|entry| entry.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "asked for StagedAndPerformedUpdate 1.20.0",
                "reports StagedAndPerformedUpdate in 1.19.0",
                "asked for RebootedIntoUpdate 1.20.0",
                "record for 1.20.0",
                "cordoned",
                "pod web/web leaves",
                "host rebooted by its agent",
                "host up in 1.20.0",
                "reports RebootedIntoUpdate in 1.19.0",
                "asked for MonitoringUpdate 1.20.0",
                "record removed",
                "uncordoned",
                "reports MonitoringUpdate in 1.19.0",
                "asked for Idle",
                "reports Idle in 1.19.0",
            ]
        );
    }

    #[test]
    fn the_most_nodes_at_a_time_are_counted() {
        let mut world = World::new(&["a", "b", "c"], json!("unlimited"));
        world.start("a").start("b").approval("a").idle("a").start("c");
        let peaks = world.judge.report().peaks;
        assert_eq!(peaks.overall, Peak { in_flight: 2, disrupted: 1 });
        assert_eq!(peaks.by_policy.len(), 1);
    }

    #[test]
    fn what_comes_late_is_taken_over_and_not_judged() {
        let mut world = World::new(&["a", "b"], json!(1));
        let late = world.change_node("a", |node| node.record = Err("forged".to_owned()));
        world.pod("web", "b", |_| ());
        world.judge.see(Event::Cluster { at: world.judge.now, seen: Box::new(Seen::Node(Change::Applied(late))) });
        assert_eq!(world.judge.report().late, 1);
        world.start("b").breach(Rule::Limit, "a, b");
    }

    #[test]
    fn what_happened_in_a_gap_is_not_judged_and_the_gap_is_told() {
        let mut world = World::new(&["a", "b"], json!(1));
        let now = world.judge.now;
        world.judge.lose(now, "gone".to_owned());
        world.judge.lose(now, "still gone".to_owned());
        world.list();
        let gaps = world.judge.report().gaps;
        assert_eq!((gaps.len(), gaps[0].why.as_str(), gaps[0].until.is_some()), (1, "gone", true));
        world.start("a").clean().start("b").breach(Rule::Limit, "a, b");
    }
}
