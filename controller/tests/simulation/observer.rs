//! The invariants, looked at from outside: on what is stored at the moment a write takes effect, and with no code of the
//! controller's.

use api::{
    State, names,
    shadow::{Order, Shadow},
};
use controller::{
    action::{Action, Verb},
    plan::Plan,
};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use semver::Version;

use crate::{process::Seen, world::World};

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// A start, with more nodes in flight than allowed.
    InFlight,
    /// A go, with more nodes disrupted than allowed.
    Disrupted,
    /// A start or a go while paused, or a disruption long after that.
    Paused,
    /// A reboot without marks, cordon and drain, or into another version.
    Reboot,
    /// A cordon, a mark or an order is left, or an administrator's cordon is gone.
    NotRestored,
    /// A node has not reached its version long after the last fault.
    NoProgress,
}

/// Longest that a go holds, and a clock may have jumped by while it did, in seconds.
const LONGEST_GO: u64 = 10 * 60;

/// Looks on.
#[derive(Default)]
pub(crate) struct Observer {
    pub(crate) breach: Option<(Breach, String)>,
    /// Since when each policy is paused, on the clock that does not jump.
    pub(crate) paused_since: std::collections::BTreeMap<String, u64>,
    pub(crate) starts: usize,
    pub(crate) reboots: usize,
    pub(crate) last_plan_was_empty: bool,
    /// When a clock jumped last.
    pub(crate) jumped: Option<u64>,
}

impl Observer {
    pub(crate) fn planned(&mut self, plan: &Plan) {
        self.last_plan_was_empty = plan.actions.is_empty();
    }

    pub(crate) fn breach(&mut self, world: &World, breach: Breach, what: &str) {
        if self.breach.is_none() {
            self.breach = Some((breach, format!("at {} s: {what}", world.time)));
        }
    }

    /// A write of the controller has just taken effect.
    pub(crate) fn wrote(&mut self, world: &World, action: &Action, seen: Seen) {
        let Some(policy) = &action.order.policy else { return };
        let disrupts = match action.verb {
            Verb::Start => false,
            Verb::Go | Verb::Renew => true,
            _ => return,
        };
        self.starts += usize::from(!disrupts);
        let versions = versions_of(world, policy, seen);
        if versions.iter().all(|spec| spec["paused"] == true) {
            self.breach(world, Breach::Paused, &format!("{:?} of {}", action.verb, action.node));
        }
        let limit = versions.iter().map(|spec| limit(world, spec)).max().unwrap_or(0);
        if action.verb == Verb::Renew {
            return;
        }
        let out: Vec<_> = world
            .nodes
            .rows
            .values()
            .filter(|node| counts(world, node, policy, disrupts, seen, &action.node))
            .map(|node| node.name_any())
            .collect();
        if out.len() > limit {
            let breach = if disrupts { Breach::Disrupted } else { Breach::InFlight };
            let what = format!("{:?} of {} with limit {limit}, out: {out:?}", action.verb, action.node);
            self.breach(world, breach, &what);
        }
    }

    /// The apiserver is about to cordon a node for the first time under a go.
    pub(crate) fn disrupts(&mut self, world: &World, node: &str, order: &Order) {
        let since = order.policy.as_ref().and_then(|policy| self.paused_since.get(policy)).copied();
        let since = since.map(|since| since.max(self.jumped.unwrap_or_default()));
        if since.is_some_and(|since| world.time > since + LONGEST_GO) {
            self.breach(world, Breach::Paused, &format!("{node} is disrupted"));
        }
    }

    /// An agent reboots its machine.
    pub(crate) fn reboots(&mut self, world: &World, node: &str, version: &Version) {
        self.reboots += 1;
        let marks = world.marks(node);
        let drained = marks.is_some_and(|marks| marks.cordoned && marks.go.version == *version);
        if !drained || !world.is_unschedulable(node) {
            self.breach(world, Breach::Reboot, &format!("{node} into {version}"));
        }
    }
}

/// What the policy said at any time since the plan's watches.
fn versions_of(world: &World, policy: &str, seen: Seen) -> Vec<serde_json::Value> {
    let log = &world.policies.log;
    let then = log[..seen.policies].iter().rev().find(|(name, _)| name == policy);
    let later = log[seen.policies..].iter().filter(|(name, _)| name == policy);
    let stored = then.into_iter().chain(later).filter_map(|(_, stored)| stored.as_ref());
    stored.map(|stored| serde_json::to_value(&stored.0.as_ref().unwrap().spec).unwrap()).collect()
}

fn limit(world: &World, spec: &serde_json::Value) -> usize {
    let limit = &spec["maxConcurrentUpdates"];
    let pool = &spec["nodeSelector"]["matchLabels"]["pool"];
    let matched = world.nodes.rows.values().filter(|node| node.labels()["pool"] == *pool).count();
    match (limit.as_u64(), limit.as_str().and_then(|text| text.strip_suffix('%'))) {
        (Some(number), _) => usize::try_from(number).unwrap(),
        (None, Some(percent)) => (matched * percent.parse::<usize>().unwrap() / 100).max(1),
        _ => usize::MAX,
    }
}

/// Whether a node counts for the policy. One that something outside has just brought back counts only if the plan could know.
fn counts(world: &World, node: &Node, policy: &str, disrupted: bool, seen: Seen, acted_on: &str) -> bool {
    let name = node.name_any();
    if name == acted_on {
        return true;
    }
    if world.flips.get(&name).is_some_and(|(nodes, agents)| *nodes > seen.nodes || *agents > seen.agents) {
        return false;
    }
    let marked = world.marks(&name).is_some();
    let managed = node.labels().contains_key(names::UPDATER_INTERFACE_LABEL);
    let uid = node.uid();
    let shadow = world.shadow(&name).filter(|shadow| Some(&shadow.node.uid) == uid.as_ref());
    let Some(shadow) = shadow else { return marked && managed && is_of(node, None, policy) };
    let asked = shadow.order.state;
    let ours = shadow.report.as_ref().is_some_and(|report| report.agent_version.is_some());
    let silent = ours && !world.agents.rows.contains_key(&name);
    let out = if disrupted {
        asked == State::RebootedIntoUpdate
    } else {
        let reported = shadow.report.as_ref().is_some_and(|report| report.state != State::Idle);
        managed && (asked != State::Idle || (reported && !silent))
    };
    (marked || out) && is_of(node, Some(&shadow), policy)
}

fn is_of(node: &Node, shadow: Option<&Shadow>, policy: &str) -> bool {
    node.labels()["pool"] == policy || shadow.is_some_and(|shadow| shadow.order.policy.as_deref() == Some(policy))
}
