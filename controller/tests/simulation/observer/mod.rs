//! The invariants, looked at from outside: on what is stored at the moment a write takes effect, held against the policies as
//! the plan's watches had shown them, and with no code of the controller's.

mod breach;
mod counts;
mod rules;

use std::rc::Rc;

use api::shadow::{Desired, Shadow};
use api::{State, names};
use controller::action::{Action, Verb};
use controller::plan::Plan;
use jiff::SignedDuration;
use kube::ResourceExt as _;
use semver::Version;

pub(crate) use breach::Breach;

use crate::plan_view::PlanView;
use crate::process::Seen;
use crate::world::World;

/// Longest that an approval holds, and a clock may have jumped by while it did, in seconds.
const LONGEST_APPROVAL: u64 = 10 * 60;
/// Longest that a controller may take to see that an approval must be withdrawn and to do so, with watches that lag behind and writes
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
        if action.verb == Verb::Restore {
            self.restores(world, action, seen);
        }
        let Some(policy) = &action.desired.policy else { return };
        let disrupts = match action.verb {
            Verb::Start => false,
            Verb::Approve | Verb::Renew => true,
            _ => return,
        };
        self.starts += usize::from(!disrupts);
        let what = format!("{:?} of {} under {policy}", action.verb, action.node);
        let view = PlanView::of(world, seen);
        let node = view.node(&action.node);
        if node.and_then(|node| view.owner(node)) != Some(policy) {
            self.breach(world, Breach::Owner, &what);
        }
        if view.spec(policy).is_some_and(|spec| spec["paused"] == true) {
            self.breach(world, Breach::Paused, &what);
        }
        if node.is_some_and(|node| node.annotations().contains_key(names::HOLD_ANNOTATION)) {
            self.breach(world, Breach::Held, &what);
        }
        let latest = world.now() + SignedDuration::from_secs(LONGEST_APPROVAL.cast_signed());
        let jumped = self.jumped.is_some_and(|jumped| world.time < jumped + LONGEST_APPROVAL);
        if !jumped && action.desired.disrupt_not_after.is_some_and(|expiry| expiry > latest) {
            self.breach(world, Breach::Expiry, &what);
        }
        self.schedule(world, &view, policy, action);
        self.version(world, (&view, seen), policy, action);
        if action.verb != Verb::Renew {
            self.counts(world, &view, (policy, disrupts, seen), action);
        }
    }

    fn restores(&mut self, world: &World, action: &Action, seen: Seen) {
        let view = PlanView::of(world, seen);
        let Some(node) = view.node(&action.node) else { return };
        let conditions = node.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
        let ready = conditions.into_iter().any(|condition| condition.status == "True");
        let boot = &node.status.as_ref().unwrap().node_info.as_ref().unwrap().boot_id;
        let report = world.shadow(&action.node).and_then(|shadow| shadow.observed.clone());
        let same = report.and_then(|report| report.rebooting).is_some_and(|intent| intent.boot_id == *boot);
        if !ready || same {
            self.breach(world, Breach::Health, &action.node);
        }
    }

    /// Looks for approvals that should have been withdrawn long ago: nobody has used them, and their policy is paused or their node
    /// held. A controller that has just begun to lead is given its time.
    pub(crate) fn looks_at_approvals(&mut self, world: &World) {
        if self.paused_since.is_empty() && self.held_since.is_empty() {
            return;
        }
        for (name, node) in &world.nodes.rows {
            let its = |shadow: &Rc<Shadow>| world.is_managed(name) && Some(&shadow.node.uid) == node.uid().as_ref();
            let Some(shadow) = world.shadow(name).filter(its) else { continue };
            let staged = shadow.observed.as_ref().is_some_and(|report| report.state == State::StagedAndPerformedUpdate);
            let usable = shadow.desired.disrupt_not_after.is_some_and(|expiry| expiry > world.now());
            if !staged || !usable || world.record(name).is_some() {
                continue;
            }
            let owner = PlanView::now(world).owner(node);
            let paused = owner.and_then(|policy| self.paused_since.get(policy)).map(|since| self.moved.max(*since));
            let held = self.held_since.get(name).copied();
            for (since, breach) in [(paused, Breach::Paused), (held, Breach::Held)] {
                let since = since.map(|since| since.max(self.leads_since).max(self.jumped.unwrap_or_default()));
                if since.is_some_and(|since| world.time > since + LONGEST_TO_WITHDRAW) {
                    self.breach(world, breach, &format!("{name} keeps its approval"));
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

    /// The apiserver is about to cordon a node for the first time under an approval.
    pub(crate) fn disrupts(&mut self, world: &World, node: &str, desired: &Desired) {
        if desired.disrupt_not_after.is_none_or(|expiry| expiry <= world.now()) {
            self.breach(world, Breach::Late, &format!("{node} is disrupted"));
        }
        let paused = desired.policy.as_ref().and_then(|policy| self.paused_since.get(policy)).copied();
        let held = self.held_since.get(node).copied();
        for (since, breach) in [(paused, Breach::Paused), (held, Breach::Held)] {
            let since = since.map(|since| since.max(self.jumped.unwrap_or_default()));
            if since.is_some_and(|since| world.time > since + LONGEST_APPROVAL) {
                self.breach(world, breach, &format!("{node} is disrupted"));
            }
        }
    }

    /// An agent reboots its machine.
    pub(crate) fn reboots(&mut self, world: &World, node: &str, version: &Version) {
        self.reboots += 1;
        let record = world.record(node);
        let ended = world.drained.get(node);
        let drained = record.is_some_and(|record| {
            record.cordoned && record.approval.version == *version && ended == Some(&record.approval)
        });
        if !drained || !world.is_unschedulable(node) {
            self.breach(world, Breach::Reboot, &format!("{node} into {version}"));
        }
    }
}
