//! What the controller counts. The first two keep the names and the meaning they had in the original.

use std::collections::BTreeMap;

use api::{HoldReason, State};
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::{
    plan::Plan,
    snapshot::{ShadowFacts, Snapshot},
};

/// Most versions that are told apart; hosts of further ones are counted as `other`.
const MAX_VERSIONS: usize = 32;

/// What the controller counts. Clones count into the same place.
#[derive(Clone)]
pub(crate) struct Metrics {
    leader: IntGauge,
    states: IntGaugeVec,
    versions: IntGaugeVec,
    held: IntGaugeVec,
    in_flight: IntGaugeVec,
    nodes: Gauge,
    plan_seconds: Histogram,
    writes: IntCounterVec,
    objections: IntCounterVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> anyhow::Result<Self> {
        let gauges = |name, help, label| -> anyhow::Result<IntGaugeVec> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let counters = |name, help, labels: &[&str]| -> anyhow::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let nodes = Gauge::new("brupop_managed_nodes", "Managed nodes")?;
        registry.register(Box::new(nodes.clone()))?;
        let leader = IntGauge::new("brupop_leader", "Whether this controller is the one that acts")?;
        registry.register(Box::new(leader.clone()))?;
        let buckets = vec![0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5];
        let plan_seconds = Histogram::with_opts(
            HistogramOpts::new("brupop_plan_seconds", "Time to decide, from snapshot to checked plan").buckets(buckets),
        )?;
        registry.register(Box::new(plan_seconds.clone()))?;
        Ok(Self {
            leader,
            states: gauges("brupop_hosts_state", "Brupop host's state", "state")?,
            versions: gauges("brupop_hosts_version", "Brupop host's bottlerocket version", "bottlerocket_version")?,
            held: gauges("brupop_nodes_held", "Nodes that do not move, by reason", "reason")?,
            in_flight: gauges("brupop_nodes_in_flight", "Nodes in flight, by policy", "policy")?,
            nodes,
            plan_seconds,
            writes: counters("brupop_writes_total", "Writes to shadows, by action and result", &["action", "result"])?,
            objections: counters("brupop_plan_objections_total", "Actions refused by the check", &["action"])?,
        })
    }

    /// This controller is the one that acts.
    pub(crate) fn leads(&self) {
        self.leader.set(1);
    }

    /// This controller does not act: what it last said of the cluster is not its to say any more.
    pub(crate) fn stands_by(&self) {
        self.leader.set(0);
        self.states.reset();
        self.versions.reset();
        self.held.reset();
        self.in_flight.reset();
        self.nodes.set(0.0);
    }

    /// Shows what a plan was made from and what it says. Values that no host has any more go away.
    pub(crate) fn show(&self, snapshot: &Snapshot, plan: &Plan) {
        self.states.reset();
        self.versions.reset();
        let reports = snapshot.shadows.values().filter_map(ShadowFacts::readable).filter_map(|s| s.report.as_ref());
        let mut states: BTreeMap<State, i64> = State::ALL.map(|state| (state, 0)).into();
        let mut versions: BTreeMap<String, i64> = BTreeMap::new();
        for report in reports {
            *states.entry(report.state).or_default() += 1;
            *versions.entry(report.current_version.to_string()).or_default() += 1;
        }
        for (state, hosts) in states {
            self.states.with_label_values(&[state.as_str()]).set(hosts);
        }
        for (at, (version, hosts)) in versions.iter().enumerate() {
            let label = if at < MAX_VERSIONS { version.as_str() } else { "other" };
            self.versions.with_label_values(&[label]).add(*hosts);
        }
        self.show_plan(snapshot, plan);
    }

    fn show_plan(&self, snapshot: &Snapshot, plan: &Plan) {
        for reason in HoldReason::ALL {
            let held = plan.nodes.values().filter_map(|standing| standing.hold.as_ref());
            let held = held.filter(|hold| hold.reason == reason);
            self.held.with_label_values(&[reason.as_str()]).set(count(held));
        }
        self.in_flight.reset();
        for policy in snapshot.policies.keys() {
            let out = plan.nodes.values().filter(|standing| standing.in_flight && standing.owners.contains(policy));
            self.in_flight.with_label_values(&[policy]).set(count(out));
        }
        self.nodes.set(f64::from(u32::try_from(plan.nodes.len()).unwrap_or(u32::MAX)));
    }

    pub(crate) fn planned(&self, seconds: f64) {
        self.plan_seconds.observe(seconds);
    }

    pub(crate) fn wrote(&self, action: &str, result: &str) {
        self.writes.with_label_values(&[action, result]).inc();
    }

    pub(crate) fn objected(&self, action: &str) {
        self.objections.with_label_values(&[action]).inc();
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> i64 {
    i64::try_from(items.count()).unwrap_or(i64::MAX)
}
