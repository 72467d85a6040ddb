//! The invariants, looked at from outside: on what is stored at the moment a write takes effect, held against the policies as
//! the plan's watches had shown them, and with no code of the controller's.

use std::{collections::BTreeSet, rc::Rc};

use api::{
    State, names,
    shadow::{Order, Shadow, Verdict},
};
use controller::{
    action::{Action, Verb},
    check::Broken,
    plan::Plan,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use semver::Version;

use crate::{process::Seen, sight::Sight, world::World};

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
    /// A start or a go while paused, or a disruption or a go that is left long after that.
    Paused,
    /// A start or a go of a node that is held by annotation, or a disruption or a go that is left long after that.
    Held,
    /// A start or a go under a policy that is not there or not the node's.
    Owner,
    /// A go that holds for too long.
    Expiry,
    /// A go that outlasts its window, or a start of an original agent outside one.
    Window,
    /// A start or a go for a version that too many nodes have failed on.
    Halted,
    /// A start on a version out of the policy's range, or too young.
    Version,
    /// A node is given back that is not Ready, or has not booted.
    Health,
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
/// Longest that a controller may take to see that a go must be taken back and to do so, with watches that lag behind and writes
/// that are lost, in seconds.
const LONGEST_TO_WITHDRAW: u64 = 3 * 60;

/// Looks on.
#[derive(Default)]
pub(crate) struct Observer {
    pub(crate) breach: Option<(Breach, String)>,
    /// Since when each policy is paused, on the clock that does not jump.
    pub(crate) paused_since: std::collections::BTreeMap<String, u64>,
    /// Since when each node is held, on the same clock.
    held_since: std::collections::BTreeMap<String, u64>,
    /// When a node may have got another policy last, on the same clock.
    pub(crate) moved: u64,
    /// Since when the controller that leads does, on the same clock.
    pub(crate) leads_since: u64,
    pub(crate) starts: usize,
    pub(crate) reboots: usize,
    pub(crate) last_plan_was_empty: bool,
    /// Since when the newer version is offered.
    pub(crate) offered_since: Option<u64>,
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
        if action.verb == Verb::GiveBack {
            self.gives_back(world, action, seen);
        }
        let Some(policy) = &action.order.policy else { return };
        let disrupts = match action.verb {
            Verb::Start => false,
            Verb::Go | Verb::Renew => true,
            _ => return,
        };
        self.starts += usize::from(!disrupts);
        let what = format!("{:?} of {} under {policy}", action.verb, action.node);
        let sight = Sight::of(world, seen);
        let node = sight.node(&action.node);
        if node.and_then(|node| sight.owner(node)) != Some(policy) {
            self.breach(world, Breach::Owner, &what);
        }
        if sight.spec(policy).is_some_and(|spec| spec["paused"] == true) {
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
        self.schedule(world, &sight, policy, action);
        self.version(world, (&sight, seen), policy, action);
        if action.verb != Verb::Renew {
            self.counts(world, &sight, (policy, disrupts, seen), action);
        }
    }

    /// The windows of this test are the first six minutes of each quarter of an hour.
    fn schedule(&mut self, world: &World, sight: &Sight<'_>, policy: &str, action: &Action) {
        if sight.spec(policy).is_none_or(|spec| spec["schedule"].is_null()) {
            return;
        }
        let open = |at: Timestamp| at.as_second().rem_euclid(15 * 60) < 6 * 60;
        let before = |at: Timestamp, seconds| at - SignedDuration::from_secs(seconds);
        let original = world.shadow(&action.node).and_then(|shadow| shadow.report.clone());
        let original = original.is_some_and(|report| report.agent_version.is_none());
        // A write may take a while, and the window close meanwhile.
        let closed = !(0..=30).any(|late| open(before(world.now(), late)));
        let starts = action.verb == Verb::Start && original && closed && self.has_not_jumped(world);
        let outlasts = action.order.disrupt_not_after.is_some_and(|expiry| !open(before(expiry, 1)));
        if starts || outlasts {
            self.breach(world, Breach::Window, &format!("{:?} of {}", action.verb, action.node));
        }
    }

    fn has_not_jumped(&self, world: &World) -> bool {
        self.jumped.is_none_or(|jumped| world.time > jumped + LONGEST_GO)
    }

    fn version(&mut self, world: &World, (sight, seen): (&Sight<'_>, Seen), policy: &str, action: &Action) {
        let (Some(spec), Some(version)) = (sight.spec(policy), &action.order.version) else { return };
        let newest = *version == Version::new(1, 21, 0);
        let out_of_range = newest && spec["versions"]["constraint"] == "<1.21";
        let age = self.offered_since.map_or(0, |since| world.time - since);
        let young = newest && self.jumped.is_none() && spec["versions"]["minimumAge"] == "5m" && age < 300;
        if action.verb == Verb::Start && (out_of_range || young) {
            self.breach(world, Breach::Version, &format!("{version} on {}", action.node));
        }
        let most = spec["failures"]["haltAfter"].as_u64().unwrap_or(1);
        let failed = |node: &&Node| {
            let known = world.shadows.log[..seen.shadows]
                .iter()
                .rev()
                .find(|(of, _)| *of == names::shadow_name(&node.name_any()));
            let known =
                known.and_then(|(_, shadow)| shadow.as_ref()?.0.as_ref().ok()?.status.as_ref()?.failed.as_ref());
            // One that was given back in the version has recovered.
            let shadow = world.shadow(&node.name_any());
            let out = shadow.filter(|shadow| shadow.order.state == State::RebootedIntoUpdate || !runs(shadow, version));
            let still = out.and_then(|shadow| shadow.report.clone()?.failed);
            let acknowledged = node.annotations().get(names::FAILURE_ACKNOWLEDGED_ANNOTATION);
            let stands = known.is_some_and(|failed| failed.version == version.to_string());
            stands
                && still.is_some_and(|failed| failed.version == *version)
                && acknowledged != Some(&version.to_string())
        };
        let its = |node: &&Node| {
            sight.node(&node.name_any()).is_some_and(|n| n.uid() == node.uid() && sight.owner(n) == Some(policy))
        };
        let nodes = world.nodes.rows.values().map(AsRef::as_ref);
        let failed: Vec<_> = nodes.filter(its).filter(failed).map(|node| node.name_any()).collect();
        if u64::try_from(failed.len()).unwrap() >= most && !failed.contains(&action.node) {
            self.breach(
                world,
                Breach::Halted,
                &format!("{:?} of {} though {failed:?} failed", action.verb, action.node),
            );
        }
    }

    fn gives_back(&mut self, world: &World, action: &Action, seen: Seen) {
        let sight = Sight::of(world, seen);
        let Some(node) = sight.node(&action.node) else { return };
        let conditions = node.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
        let ready = conditions.into_iter().any(|condition| condition.status == "True");
        let boot = &node.status.as_ref().unwrap().node_info.as_ref().unwrap().boot_id;
        let report = world.shadow(&action.node).and_then(|shadow| shadow.report.clone());
        let same = report.and_then(|report| report.rebooting).is_some_and(|intent| intent.boot_id == *boot);
        if !ready || same {
            self.breach(world, Breach::Health, &action.node);
        }
    }

    fn counts(&mut self, world: &World, sight: &Sight<'_>, of: (&str, bool, Seen), action: &Action) {
        let (policy, disrupts, seen) = of;
        let what = |limit: &str, out: &[&Node]| {
            let names: Vec<_> = out.iter().map(|node| node.name_any()).collect();
            format!("{:?} of {} under {policy} with {limit}, out: {names:?}", action.verb, action.node)
        };
        let nodes = world.nodes.rows.values().map(AsRef::as_ref);
        let is_out = |node: &&Node| counts(world, sight, node, (policy, disrupts, seen), &action.node);
        let out: Vec<&Node> = nodes.clone().filter(is_out).collect();
        let most = sight.limit(policy, "maxConcurrentUpdates").unwrap_or(0);
        if out.len() > most {
            let breach = if disrupts { Breach::Disrupted } else { Breach::InFlight };
            self.breach(world, breach, &what(&format!("limit {most}"), &out));
        }
        let unavailable: Vec<&Node> = nodes.filter(|node| is_out(node) || sight.is_down(node, policy)).collect();
        let most = sight.limit(policy, "maxUnavailable").unwrap_or(usize::MAX);
        if unavailable.len() > most {
            self.breach(world, Breach::Unavailable, &what(&format!("at most {most:?} unavailable"), &unavailable));
        }
        let zones: BTreeSet<_> = out.iter().map(|node| &node.labels()["zone"]).collect();
        if zones.len() > 1 && sight.spec(policy).is_some_and(|spec| spec["topologyKey"] == "zone") {
            self.breach(world, Breach::Topology, &what("one zone at a time", &out));
        }
    }

    /// Looks for gos that should have been taken back long ago: nobody has used them, and their policy is paused or their node
    /// held. A controller that has just begun to lead is given its time.
    pub(crate) fn looks_at_gos(&mut self, world: &World) {
        if self.paused_since.is_empty() && self.held_since.is_empty() {
            return;
        }
        for (name, node) in &world.nodes.rows {
            let its = |shadow: &Rc<Shadow>| world.is_managed(name) && Some(&shadow.node.uid) == node.uid().as_ref();
            let Some(shadow) = world.shadow(name).filter(its) else { continue };
            let staged = shadow.report.as_ref().is_some_and(|report| report.state == State::StagedAndPerformedUpdate);
            let usable = shadow.order.disrupt_not_after.is_some_and(|expiry| expiry > world.now());
            if !staged || !usable || world.marks(name).is_some() {
                continue;
            }
            let owner = Sight::now(world).owner(node);
            let paused = owner.and_then(|policy| self.paused_since.get(policy)).map(|since| self.moved.max(*since));
            let held = self.held_since.get(name).copied();
            for (since, breach) in [(paused, Breach::Paused), (held, Breach::Held)] {
                let since = since.map(|since| since.max(self.leads_since).max(self.jumped.unwrap_or_default()));
                if since.is_some_and(|since| world.time > since + LONGEST_TO_WITHDRAW) {
                    self.breach(world, breach, &format!("{name} keeps its go"));
                }
            }
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

/// Whether a node counts for the policy. One that something outside has just brought back counts only if the plan could know.
fn counts(
    world: &World,
    sight: &Sight<'_>,
    node: &Node,
    (policy, disrupted, seen): (&str, bool, Seen),
    acted_on: &str,
) -> bool {
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
    let Some(shadow) = shadow else { return marked && managed && is_of(sight, node, None, policy) };
    if is_out_for_a_failure(world, node, &shadow) {
        return false;
    }
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
    (marked || (managed && out)) && is_of(sight, node, Some(&shadow), policy)
}

/// Whether a node was the policy's, or began under it.
fn is_of(sight: &Sight<'_>, node: &Node, shadow: Option<&Shadow>, policy: &str) -> bool {
    let shown = sight.node(&node.name_any()).filter(|shown| shown.uid() == node.uid());
    sight.owner(shown.unwrap_or(node)) == Some(policy)
        || shadow.is_some_and(|shadow| shadow.order.policy.as_deref() == Some(policy))
}

fn runs(shadow: &Shadow, version: &Version) -> bool {
    shadow.report.as_ref().is_some_and(|report| report.current_version >= *version)
}

/// Whether the node has failed on what it is asked for, or on what is marked on it, and nobody has acknowledged that.
fn is_out_for_a_failure(world: &World, node: &Node, shadow: &Shadow) -> bool {
    let Some(failed) = shadow.report.as_ref().and_then(|report| report.failed.as_ref()) else { return false };
    let about = match shadow.order.state {
        State::RebootedIntoUpdate => shadow.order.version.clone(),
        State::Idle => world.marks(&node.name_any()).map(|marks| marks.go.version),
        _ => None,
    };
    let acknowledged = node.annotations().get(names::FAILURE_ACKNOWLEDGED_ANNOTATION);
    failed.kind != Verdict::Unknown
        && about.as_ref() == Some(&failed.version)
        && acknowledged != Some(&failed.version.to_string())
}
