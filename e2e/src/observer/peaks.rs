//! The most nodes that were in flight and disrupted at a time.

use std::collections::BTreeMap;

use api::in_flight::Facts;
use jiff::Timestamp;

use super::cluster::Cluster;
use super::facts::ShadowFacts;
use super::in_flight;
use super::owner::owner;

/// The most nodes at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peak {
    /// In flight.
    pub in_flight: usize,
    /// Disrupted: in flight with an approval or a record.
    pub disrupted: usize,
}

/// The most nodes at a time, and from when to when there were any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Over all policies.
    pub overall: Peak,
    /// By the policy that a node's update was begun under or that applied to it; of a node with both, by both.
    pub by_policy: BTreeMap<String, Peak>,
    /// When a node was in flight first.
    pub first_start: Option<Timestamp>,
    /// When a node ceased to be in flight last.
    pub last_finish: Option<Timestamp>,
}

/// What nodes count as now, and the peaks so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    nodes: BTreeMap<String, (Peak, Vec<String>)>,
    pub(super) peaks: Peaks,
}

impl Counts {
    /// Counts one node anew.
    pub(super) fn count(&mut self, at: Timestamp, cluster: &Cluster, node: &str) {
        let before = self.nodes.remove(node).unwrap_or_default();
        let facts = cluster.nodes.get(node).map(|tracked| in_flight::facts(cluster, tracked, at));
        let now = facts.map(|facts| Peak::of(&facts)).unwrap_or_default();
        let peaks = &mut self.peaks;
        if now.in_flight > before.0.in_flight {
            peaks.first_start.get_or_insert(at);
        } else if now.in_flight < before.0.in_flight {
            peaks.last_finish = Some(at);
        }
        if now == Peak::default() {
            return;
        }
        self.nodes.insert(node.to_owned(), (now, policies(cluster, node)));
        if now != before.0 {
            self.raise();
        }
    }

    fn raise(&mut self) {
        let mut overall = Peak::default();
        let mut by_policy = BTreeMap::<&str, Peak>::new();
        for (node, policies) in self.nodes.values() {
            overall.add(*node);
            policies.iter().for_each(|policy| by_policy.entry(policy).or_default().add(*node));
        }
        self.peaks.overall.raise_to(overall);
        for (policy, peak) in by_policy {
            self.peaks.by_policy.entry(policy.to_owned()).or_default().raise_to(peak);
        }
    }
}

impl Peak {
    /// What one node counts for.
    fn of(facts: &Facts<'_>) -> Self {
        Self { in_flight: facts.is_in_flight().into(), disrupted: facts.is_disrupted().into() }
    }

    fn add(&mut self, other: Self) {
        self.in_flight += other.in_flight;
        self.disrupted += other.disrupted;
    }

    fn raise_to(&mut self, other: Self) {
        self.in_flight = self.in_flight.max(other.in_flight);
        self.disrupted = self.disrupted.max(other.disrupted);
    }
}

/// The policies that a node counts for.
fn policies(cluster: &Cluster, name: &str) -> Vec<String> {
    let Some(node) = cluster.nodes.get(name).map(|tracked| &tracked.facts) else { return Vec::new() };
    let shadow = cluster.shadow_of(node).and_then(ShadowFacts::readable);
    let began = shadow.and_then(|shadow| shadow.desired.policy.clone());
    let applies = cluster.views.now().and_then(|view| owner(view, &node.labels).ok()).map(|policy| policy.name.clone());
    let other = applies.filter(|applies| began.as_ref() != Some(applies));
    began.into_iter().chain(other).collect()
}
