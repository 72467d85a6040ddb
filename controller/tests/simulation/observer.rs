//! The invariants, looked at from outside: on what is stored at the moment a write takes effect, and with no code of the
//! controller's.

use std::collections::BTreeSet;

use api::{
    State, names,
    shadow::{Order, Shadow},
};
use controller::{
    action::{Action, Verb},
    check::Broken,
    plan::Plan,
};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use semver::Version;

use crate::{process::Seen, world::World};

type Spec = serde_json::Value;

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// A start, with more nodes in flight than allowed.
    InFlight,
    /// A go, with more nodes disrupted than allowed.
    Disrupted,
    /// A start or a go, with more nodes unavailable than allowed.
    Unavailable,
    /// A start or a go, with nodes of two zones out where only one may be.
    Topology,
    /// A start or a go while paused, or a disruption long after that.
    Paused,
    /// A start or a go of a node that is held by annotation, or a disruption long after that.
    Held,
    /// A start or a go under a policy that is not there or not the node's.
    Owner,
    /// A go that holds for too long.
    Expiry,
    /// A reboot without marks, cordon and drain, or into another version.
    Reboot,
    /// A cordon, a mark or an order is left, or an administrator's cordon is gone.
    NotRestored,
    /// A node has not reached its version long after the last fault.
    NoProgress,
    /// The check has objected to a plan.
    Refused(Broken),
}

/// Longest that a go holds, and a clock may have jumped by while it did, in seconds.
const LONGEST_GO: u64 = 10 * 60;

/// Looks on.
#[derive(Default)]
pub(crate) struct Observer {
    pub(crate) breach: Option<(Breach, String)>,
    /// Since when each policy is paused, on the clock that does not jump.
    pub(crate) paused_since: std::collections::BTreeMap<String, u64>,
    /// Since when each node is held, on the same clock.
    held_since: std::collections::BTreeMap<String, u64>,
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
        let what = format!("{:?} of {} under {policy}", action.verb, action.node);
        let versions = versions_of(world, policy, seen);
        let node = node_at(world, &action.node, seen);
        let its = node.is_some_and(|node| node.labels()["pool"] == *policy);
        if versions.is_empty() || !its {
            self.breach(world, Breach::Owner, &what);
        }
        if versions.iter().all(|spec| spec["paused"] == true) {
            self.breach(world, Breach::Paused, &what);
        }
        if node.is_some_and(|node| node.annotations().contains_key(names::HOLD_ANNOTATION)) {
            self.breach(world, Breach::Held, &what);
        }
        let latest = world.now() + SignedDuration::from_secs(LONGEST_GO.cast_signed());
        let jumped = self.jumped.is_some_and(|jumped| world.time < jumped + LONGEST_GO);
        if !jumped && action.order.disrupt_not_after.is_some_and(|expiry| expiry > latest) {
            self.breach(world, Breach::Expiry, &what);
        }
        if action.verb != Verb::Renew {
            self.counts(world, &versions, (policy, disrupts, seen), action);
        }
    }

    fn counts(&mut self, world: &World, versions: &[Spec], of: (&str, bool, Seen), action: &Action) {
        let (policy, disrupts, seen) = of;
        let what = |limit: &str, out: &[&Node]| {
            let names: Vec<_> = out.iter().map(|node| node.name_any()).collect();
            format!("{:?} of {} with {limit}, out: {names:?}", action.verb, action.node)
        };
        let nodes = world.nodes.rows.values().map(AsRef::as_ref);
        let is_out = |node: &&Node| counts(world, node, policy, disrupts, seen, &action.node);
        let out: Vec<&Node> = nodes.clone().filter(is_out).collect();
        let most = versions.iter().filter_map(|spec| limit(world, spec, "maxConcurrentUpdates")).max().unwrap_or(0);
        if out.len() > most {
            let breach = if disrupts { Breach::Disrupted } else { Breach::InFlight };
            self.breach(world, breach, &what(&format!("limit {most}"), &out));
        }
        let unavailable: Vec<&Node> = nodes.filter(|node| is_out(node) || is_down(world, node, policy, seen)).collect();
        let most = versions.iter().map(|spec| limit(world, spec, "maxUnavailable").unwrap_or(usize::MAX)).max();
        if most.is_some_and(|most| unavailable.len() > most) {
            self.breach(world, Breach::Unavailable, &what(&format!("at most {most:?} unavailable"), &unavailable));
        }
        let zones: BTreeSet<_> = out.iter().map(|node| &node.labels()["zone"]).collect();
        if zones.len() > 1 && versions.iter().all(|spec| spec["topologyKey"] == "zone") {
            self.breach(world, Breach::Topology, &what("one zone at a time", &out));
        }
    }

    /// Somebody holds a node, or lets go of it.
    pub(crate) fn hold(&mut self, world: &World, node: &str, held: bool) {
        if held {
            self.held_since.entry(node.to_owned()).or_insert(world.time);
        } else {
            self.held_since.remove(node);
        }
    }

    /// The apiserver is about to cordon a node for the first time under a go.
    pub(crate) fn disrupts(&mut self, world: &World, node: &str, order: &Order) {
        let paused = order.policy.as_ref().and_then(|policy| self.paused_since.get(policy)).copied();
        let held = self.held_since.get(node).copied();
        for (since, breach) in [(paused, Breach::Paused), (held, Breach::Held)] {
            let since = since.map(|since| since.max(self.jumped.unwrap_or_default()));
            if since.is_some_and(|since| world.time > since + LONGEST_GO) {
                self.breach(world, breach, &format!("{node} is disrupted"));
            }
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
fn versions_of(world: &World, policy: &str, seen: Seen) -> Vec<Spec> {
    let log = &world.policies.log;
    let then = log[..seen.policies].iter().rev().find(|(name, _)| name == policy);
    let later = log[seen.policies..].iter().filter(|(name, _)| name == policy);
    let stored = then.into_iter().chain(later).filter_map(|(_, stored)| stored.as_ref());
    stored.map(|stored| serde_json::to_value(&stored.0.as_ref().unwrap().spec).unwrap()).collect()
}

/// The limit in nodes that the field sets; `None` without it.
fn limit(world: &World, spec: &Spec, field: &str) -> Option<usize> {
    let limit = &spec[field];
    let pool = &spec["nodeSelector"]["matchLabels"]["pool"];
    let matched = world.nodes.rows.values().filter(|node| node.labels()["pool"] == *pool).count();
    match (limit.as_u64(), limit.as_str().and_then(|text| text.strip_suffix('%'))) {
        (Some(number), _) => Some(usize::try_from(number).unwrap()),
        (None, Some(percent)) => Some((matched * percent.parse::<usize>().unwrap() / 100).max(1)),
        _ if limit.is_null() => None,
        _ => Some(usize::MAX),
    }
}

/// The Node as the plan's watch had shown it.
fn node_at<'a>(world: &'a World, name: &str, seen: Seen) -> Option<&'a Node> {
    let mut shown = world.nodes.log[..seen.nodes].iter().rev();
    shown.find(|(of, _)| of == name)?.1.as_deref()
}

/// Whether the node was not Ready, or cordoned, as far as the plan could know, and the policy's.
fn is_down(world: &World, node: &Node, policy: &str, seen: Seen) -> bool {
    let Some(shown) = node_at(world, &node.name_any(), seen).filter(|shown| shown.uid() == node.uid()) else {
        return false;
    };
    let managed = shown.labels().contains_key(names::UPDATER_INTERFACE_LABEL);
    let cordoned = shown.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let conditions = shown.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    let ready = conditions.into_iter().any(|condition| condition.status == "True");
    managed && (cordoned || !ready) && shown.labels()["pool"] == *policy
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
        asked != State::Idle || (reported && !silent)
    };
    // A node that was taken out of the operator's hands counts by its marks alone: nothing can begin on it.
    (marked || (managed && out)) && is_of(node, Some(&shadow), policy)
}

fn is_of(node: &Node, shadow: Option<&Shadow>, policy: &str) -> bool {
    node.labels()["pool"] == policy || shadow.is_some_and(|shadow| shadow.order.policy.as_deref() == Some(policy))
}
