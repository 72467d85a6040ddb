//! What the controller counts. The first two keep the names and the meaning they had in the original.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use api::{HoldReason, State};
use jiff::Timestamp;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::action::Action;
use crate::plan::Plan;
use crate::snapshot::Snapshot;

/// Most versions that are told apart; hosts of further ones are counted together, as [`OTHER`].
const MAX_VERSIONS: usize = 32;
/// The version of those beyond the cap.
const OTHER: &str = "other";

/// What the controller counts. Clones count into the same place.
#[derive(Clone)]
pub(crate) struct Metrics {
    leader: IntGauge,
    states: Family,
    versions: Family,
    held: Family,
    in_flight: Family,
    budget: Family,
    window_open: Family,
    window_change: Family,
    halted: Family,
    failures: Family<2>,
    phase_seconds: HistogramVec,
    nodes: IntGauge,
    plan_seconds: Histogram,
    writes: IntCounterVec,
    objections: IntCounterVec,
    events: IntCounterVec,
    watched: IntGaugeVec,
    watch_failures: IntCounterVec,
}

/// Gauges with `N` labels, of which those whose value is gone go away. Never is all of it away at once: a scrape may come at any
/// moment.
#[derive(Clone)]
struct Family<const N: usize = 1> {
    gauges: IntGaugeVec,
    shown: Arc<Mutex<BTreeMap<[String; N], i64>>>,
}

impl<const N: usize> Family<N> {
    fn register(registry: &Registry, name: &str, help: &str, labels: [&str; N]) -> anyhow::Result<Self> {
        let gauges = IntGaugeVec::new(Opts::new(name, help), &labels)?;
        registry.register(Box::new(gauges.clone()))?;
        Ok(Self { gauges, shown: Arc::default() })
    }

    fn show_all(&self, values: BTreeMap<[String; N], i64>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, value) in &values {
            self.gauges.with_label_values(labels.as_slice()).set(*value);
        }
        for gone in shown.keys().filter(|labels| !values.contains_key(*labels)) {
            // It is there: it was shown.
            let _ = self.gauges.remove_label_values(gone.as_slice());
        }
        *shown = values;
    }
}

impl Family {
    fn show(&self, values: BTreeMap<String, i64>) {
        self.show_all(values.into_iter().map(|(label, value)| ([label], value)).collect());
    }
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> anyhow::Result<Self> {
        let family = |name, help, label| Family::register(registry, name, help, [label]);
        let counters = |name, help, labels: &[&str]| -> anyhow::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let nodes = IntGauge::new("brupop_managed_nodes", "Managed nodes")?;
        registry.register(Box::new(nodes.clone()))?;
        let leader = IntGauge::new("brupop_leader", "Whether this controller is the one that acts")?;
        registry.register(Box::new(leader.clone()))?;
        let help = "When the API server was heard last on a watch: an event, a bookmark, or an answer to a list";
        let watched = Opts::new("brupop_watch_last_heard_timestamp_seconds", help);
        let watched = IntGaugeVec::new(watched, &["watch"])?;
        registry.register(Box::new(watched.clone()))?;
        let help = "Nodes that have failed, by kind and version";
        let failures = Family::register(registry, "brupop_failed_nodes", help, ["kind", "version"])?;
        let phases = HistogramOpts::new("brupop_phase_seconds", "Time a node was asked for one state, by state")
            .buckets(vec![1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0]);
        let phase_seconds = HistogramVec::new(phases, &["state"])?;
        registry.register(Box::new(phase_seconds.clone()))?;
        let buckets = vec![0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5];
        let plan_seconds = Histogram::with_opts(
            HistogramOpts::new("brupop_plan_seconds", "Time to decide, from snapshot to checked plan").buckets(buckets),
        )?;
        registry.register(Box::new(plan_seconds.clone()))?;
        Ok(Self {
            leader,
            states: family("brupop_hosts_state", "Brupop host's state", "state")?,
            versions: family("brupop_hosts_version", "Brupop host's bottlerocket version", "bottlerocket_version")?,
            held: family("brupop_nodes_held", "Nodes that do not move, by reason", "reason")?,
            in_flight: family("brupop_nodes_in_flight", "Nodes in flight, by policy", "policy")?,
            budget: family("brupop_policy_limit", "Nodes that may be in flight; none without a limit", "policy")?,
            window_open: family("brupop_policy_window_open", "Whether disruptions may begin, by policy", "policy")?,
            window_change: family(
                "brupop_policy_window_change_timestamp_seconds",
                "When the schedule opens or closes next; none where it never does",
                "policy",
            )?,
            halted: family("brupop_policy_halted", "Whether too many nodes have failed on a version", "policy")?,
            failures,
            phase_seconds,
            nodes,
            plan_seconds,
            writes: counters("brupop_writes_total", "Writes, by what was written and result", &["action", "result"])?,
            objections: counters("brupop_plan_objections_total", "Actions refused by the check", &["action"])?,
            events: counters("brupop_events_total", "Kubernetes Events, by reason and result", &["reason", "result"])?,
            watched,
            watch_failures: counters("brupop_watch_failures_total", "Errors of a watch", &["watch"])?,
        })
    }

    /// This controller is the one that acts.
    pub(crate) fn leads(&self) {
        self.leader.set(1);
    }

    /// This controller does not act: what it last said of the cluster is not its to say any more.
    pub(crate) fn stands_by(&self) {
        self.leader.set(0);
        let policies = [&self.in_flight, &self.budget, &self.window_open, &self.window_change, &self.halted];
        for family in [&self.states, &self.versions, &self.held].into_iter().chain(policies) {
            family.show(BTreeMap::new());
        }
        self.failures.show_all(BTreeMap::new());
        self.nodes.set(0);
    }

    /// Shows what a plan was made from and what it says. Values that no host has any more go away.
    pub(crate) fn show(&self, snapshot: &Snapshot, plan: &Plan) {
        let reports =
            snapshot.shadows.values().filter_map(|shadow| shadow.readable()).filter_map(|s| s.observed.as_ref());
        let mut states: BTreeMap<String, i64> = State::ALL.map(|state| (state.as_str().to_owned(), 0)).into();
        let mut versions: BTreeMap<String, i64> = BTreeMap::new();
        for observed in reports {
            *states.entry(observed.state.as_str().to_owned()).or_default() += 1;
            *versions.entry(observed.current_version.to_string()).or_default() += 1;
        }
        self.states.show(states);
        self.versions.show(capped(versions));
        let mut held: BTreeMap<String, i64> = HoldReason::ALL.map(|reason| (reason.as_str().to_owned(), 0)).into();
        for hold in plan.nodes.values().filter_map(|node_plan| node_plan.hold.as_ref()) {
            *held.entry(hold.reason.as_str().to_owned()).or_default() += 1;
        }
        self.held.show(held);
        let in_flight = snapshot.policies.keys().map(|policy| (policy, plan.in_flight.get(policy).copied()));
        let number = |nodes: Option<usize>| i64::try_from(nodes.unwrap_or_default()).unwrap_or(i64::MAX);
        self.in_flight.show(in_flight.map(|(policy, nodes)| (policy.clone(), number(nodes))).collect());
        let limits =
            plan.limits.iter().map(|(policy, limit)| (policy.clone(), i64::try_from(*limit).unwrap_or(i64::MAX)));
        self.budget.show(limits.collect());
        self.nodes.set(i64::try_from(plan.nodes.len()).unwrap_or(i64::MAX));
        let windows = plan.windows.iter();
        self.window_open.show(windows.clone().map(|(name, window)| (name.clone(), i64::from(window.open))).collect());
        let change =
            windows.filter_map(|(name, window)| Some((name.clone(), window.closes_at.or(window.next_opens_at)?)));
        self.window_change.show(change.map(|(name, at)| (name, at.as_second())).collect());
        let halted = snapshot.policies.keys().map(|name| (name.clone(), i64::from(plan.halted.contains_key(name))));
        self.halted.show(halted.collect());
        self.show_failures(plan);
    }

    /// Of more versions than are told apart the oldest are counted as `other`.
    fn show_failures(&self, plan: &Plan) {
        let failed = plan.nodes.values().filter_map(|node_plan| node_plan.failed.as_ref());
        let versions: BTreeSet<_> = failed.clone().map(|failed| &failed.version).collect();
        let shown: BTreeSet<_> = versions.into_iter().rev().take(MAX_VERSIONS).collect();
        let mut counts: BTreeMap<_, i64> = BTreeMap::new();
        for failed in failed {
            let kind = format!("{:?}", failed.kind);
            let version = if shown.contains(&failed.version) { failed.version.to_string() } else { OTHER.to_owned() };
            *counts.entry([kind, version]).or_default() += 1;
        }
        self.failures.show_all(counts);
    }

    /// A spec has taken the place of another.
    pub(crate) fn spec_written(&self, action: &Action, now: Timestamp) {
        let Some(since) = action.before.since.filter(|_| action.before.state != action.desired.state) else { return };
        let seconds = now.duration_since(since).as_secs_f64().max(0.0);
        self.phase_seconds.with_label_values(&[action.before.state.as_str()]).observe(seconds);
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

    pub(crate) fn event_written(&self, reason: &str, result: &str) {
        self.events.with_label_values(&[reason, result]).inc();
    }

    /// The API server was heard on a watch.
    pub(crate) fn watched(&self, watch: &str, now: Timestamp) {
        self.watched.with_label_values(&[watch]).set(now.as_second());
    }

    pub(crate) fn watch_failed(&self, watch: &str) {
        self.watch_failures.with_label_values(&[watch]).inc();
    }
}

/// The versions that most hosts run; the others are counted together.
fn capped(versions: BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let mut ordered: Vec<_> = versions.into_iter().collect();
    ordered.sort_by(|(one, hosts), (other, others)| others.cmp(hosts).then_with(|| one.cmp(other)));
    let rest: i64 = ordered.iter().skip(MAX_VERSIONS).map(|(_, hosts)| hosts).sum();
    let mut capped: BTreeMap<_, _> = ordered.into_iter().take(MAX_VERSIONS).collect();
    if rest > 0 {
        capped.insert(OTHER.to_owned(), rest);
    }
    capped
}

#[cfg(test)]
mod tests;
