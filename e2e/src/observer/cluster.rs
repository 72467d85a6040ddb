//! The cluster after the last write that was judged.

use std::collections::{BTreeMap, BTreeSet};

use api::DisruptionRecord;
use jiff::Timestamp;
use semver::Version;

use super::facts::{BudgetFacts, NodeFacts, PodFacts, ShadowFacts};
use super::runs::Runs;
use super::views::{Views, within_grace};

/// A Node, with since when some of it is so.
#[derive(Debug, Clone)]
pub(super) struct TrackedNode {
    pub(super) facts: NodeFacts,
    /// Since when it has the labels it has.
    pub(super) labelled: Timestamp,
    /// Since when it is held, when it is.
    pub(super) held: Option<Timestamp>,
    /// The disruption record that was removed last, and when; nothing while it carries another.
    pub(super) removed_record: Option<(Timestamp, DisruptionRecord)>,
    /// The versions that its annotations excused until a moment ago.
    excused_before: Option<(Timestamp, Excuses)>,
}

/// The versions that a Node's annotations excuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excuses {
    /// From the schedule.
    pub(super) ignore_window: Option<Version>,
    /// From their failure.
    pub(super) acknowledged: Option<Version>,
}

impl From<&NodeFacts> for Excuses {
    fn from(node: &NodeFacts) -> Self {
        Self { ignore_window: node.ignore_window.clone(), acknowledged: node.acknowledged.clone() }
    }
}

impl TrackedNode {
    /// Whether an annotation excuses the version, or did until a moment ago.
    pub(super) fn excuses(&self, now: Timestamp, version: &Version, by: fn(Excuses) -> Option<Version>) -> bool {
        let before = self.excused_before.iter().filter(|(until, _)| within_grace(*until, now));
        let all = before.map(|(_, excuses)| excuses.clone()).chain([Excuses::from(&self.facts)]);
        all.filter_map(by).any(|excused| excused == *version)
    }
}

/// A pod, with when it was seen on its node first.
#[derive(Debug, Clone)]
pub(super) struct PodRecord {
    pub(super) facts: PodFacts,
    pub(super) bound: Timestamp,
}

/// Labels that a Node had until a moment ago.
#[derive(Debug, Clone)]
struct Former {
    until: Timestamp,
    node: String,
    labels: BTreeMap<String, String>,
}

/// The cluster after the last write that was judged.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) nodes: BTreeMap<String, TrackedNode>,
    pub(super) shadows: BTreeMap<String, ShadowFacts>,
    /// By uid.
    pub(super) pods: BTreeMap<String, PodRecord>,
    /// By `namespace/name`.
    pub(super) budgets: BTreeMap<String, BudgetFacts>,
    pub(super) views: Views,
    /// What each node has run, and since when.
    pub(super) runs: BTreeMap<String, Runs>,
    /// Nodes with a Ready agent pod, and since when.
    agents: BTreeMap<String, Timestamp>,
    former: Vec<Former>,
    /// Pods that are gone since a moment ago.
    departed: Vec<(Timestamp, PodRecord)>,
}

impl Cluster {
    /// The shadow that is about this very Node, or that cannot be read.
    pub(super) fn shadow_of(&self, node: &NodeFacts) -> Option<&ShadowFacts> {
        let shadow = self.shadows.get(&node.name)?;
        let own = shadow.shadow.as_ref().map_or(true, |shadow| shadow.node.uid == node.uid);
        own.then_some(shadow)
    }

    pub(super) fn put_node(&mut self, at: Timestamp, facts: NodeFacts) {
        let before = self.remove_node(at, &facts.name);
        let same = before.as_ref().filter(|before| before.facts.labels == facts.labels);
        let labelled = same.map_or(at, |before| before.labelled);
        let held = facts.hold.as_ref().map(|_| before.as_ref().and_then(|before| before.held).unwrap_or(at));
        let removed_record = before.as_ref().filter(|_| !facts.has_record()).and_then(|before| {
            let removed = before.facts.record().map(|record| (at, record.clone()));
            removed.or_else(|| before.removed_record.clone())
        });
        let excused_before = before.and_then(|before| {
            let excuses = Excuses::from(&before.facts);
            if excuses == Excuses::from(&facts) { before.excused_before } else { Some((at, excuses)) }
        });
        self.nodes.insert(facts.name.clone(), TrackedNode { facts, labelled, held, removed_record, excused_before });
    }

    pub(super) fn remove_node(&mut self, at: Timestamp, name: &str) -> Option<TrackedNode> {
        let before = self.nodes.remove(name)?;
        self.former.retain(|former| within_grace(former.until, at));
        let labels = before.facts.labels.clone();
        self.former.push(Former { until: at, node: name.to_owned(), labels });
        Some(before)
    }

    /// The labels that a program may believe a Node to have.
    pub(super) fn labels_of(&self, name: &str, now: Timestamp) -> Vec<&BTreeMap<String, String>> {
        let current = self.nodes.get(name).map(|record| &record.facts.labels);
        let former = self.former.iter().filter(|former| former.node == name && within_grace(former.until, now));
        current.into_iter().chain(former.map(|former| &former.labels)).collect()
    }

    /// The names of all Nodes that a program may believe to be there.
    pub(super) fn node_names(&self, now: Timestamp) -> BTreeSet<&str> {
        let former = self.former.iter().filter(|former| within_grace(former.until, now));
        self.nodes.keys().map(String::as_str).chain(former.map(|former| former.node.as_str())).collect()
    }

    pub(super) fn put_pod(&mut self, at: Timestamp, facts: PodFacts) {
        let before = self.pods.get(&facts.uid).filter(|before| before.facts.node == facts.node);
        let bound = before.map_or(at, |before| before.bound);
        let agent = facts.is_agent().then(|| facts.node.clone()).flatten();
        self.pods.insert(facts.uid.clone(), PodRecord { facts, bound });
        self.note_agent(at, agent.as_deref());
    }

    pub(super) fn remove_pod(&mut self, at: Timestamp, facts: &PodFacts) {
        self.departed.retain(|(gone, _)| within_grace(*gone, at));
        self.departed.extend(self.pods.remove(&facts.uid).map(|record| (at, record)));
        self.note_agent(at, facts.node.as_deref().filter(|_| facts.is_agent()));
    }

    fn note_agent(&mut self, at: Timestamp, node: Option<&str>) {
        let Some(node) = node else { return };
        let answers = |pod: &PodRecord| pod.facts.is_agent() && pod.facts.ready && !pod.facts.terminating;
        let ready = self.pods_on(node).any(answers);
        if ready {
            self.agents.entry(node.to_owned()).or_insert(at);
        } else {
            self.agents.remove(node);
        }
    }

    /// The pods on a node.
    pub(super) fn pods_on(&self, node: &str) -> impl Iterator<Item = &PodRecord> {
        self.pods.values().filter(move |pod| pod.facts.node.as_deref() == Some(node))
    }

    /// The pods that were on a node at `then`, a moment ago.
    pub(super) fn pods_then(&self, node: &str, then: Timestamp) -> impl Iterator<Item = &PodRecord> {
        let departed = self.departed.iter().filter(move |(gone, _)| *gone > then).map(|(_, record)| record);
        self.pods_on(node).chain(departed.filter(move |pod| pod.facts.node.as_deref() == Some(node)))
    }

    /// Since when the node has a Ready agent pod, when it has one.
    pub(super) fn agent_ready_since(&self, node: &str) -> Option<Timestamp> {
        self.agents.get(node).copied()
    }

    /// Forgets what the watches showed, but not the policies of a moment ago.
    pub(super) fn forget(&mut self) {
        *self = Self { views: std::mem::take(&mut self.views), ..Self::default() };
    }

    /// Takes note of what the node runs since `since`, as its shadow tells it.
    pub(super) fn note_run(&mut self, since: Timestamp, node: &str) {
        let shadow = self.shadows.get(node).and_then(ShadowFacts::readable);
        if let Some(report) = shadow.and_then(|shadow| shadow.observed.as_ref()) {
            self.runs.entry(node.to_owned()).or_default().note(since, report);
        }
    }

    /// Makes everything as old as can be: what a list shows has not just become so.
    pub(super) fn settle(&mut self) {
        self.former.clear();
        for node in self.shadows.keys().cloned().collect::<Vec<_>>() {
            self.note_run(Timestamp::UNIX_EPOCH, &node);
        }
        for node in self.nodes.values_mut() {
            node.labelled = Timestamp::UNIX_EPOCH;
            node.held = node.held.map(|_| Timestamp::UNIX_EPOCH);
        }
        self.pods.values_mut().for_each(|pod| pod.bound = Timestamp::UNIX_EPOCH);
        self.agents.values_mut().for_each(|since| *since = Timestamp::UNIX_EPOCH);
    }
}
