//! One round of the loop.

use std::collections::{BTreeMap, BTreeSet};

use api::HoldReason;
use api::names::shadow_name;
use jiff::{SignedDuration, Timestamp};
use runtime::events::Recorder;
use runtime::health::Heartbeat;
use tokio::time::Instant;

use super::batch::{self, Batch, batch};
use super::decide::{Decision, Memory, Work};
use super::delays::Delays;
use super::planner::{Planner, Stuck};
use super::rate::StatusRate;
use crate::check::{Objection, unobjected};
use crate::execute::{Executed, execute, settle_all};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::own_writes::Outcome;
use crate::plan::Plan;
use crate::publish::{PolicyStatus, publish_conditions, publish_statuses};
use crate::shadow_status::ShadowStatus;
use crate::snapshot::{Progress, Snapshot};
use crate::watch::Watches;
use crate::write::{WRITE_DEADLINE, WriteError, Writer};
use crate::{events, report};

/// How long a conflict waits at most for the watch to show what somebody else wrote, and an unknown outcome to be read.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// What a leader acts through.
pub(super) struct Context {
    pub(super) writer: Writer,
    pub(super) recorder: Recorder,
    pub(super) metrics: Metrics,
    pub(super) leadership: Leadership,
    /// What shows that the loop is alive; given for each write, since a round may be many.
    pub(super) heartbeat: Heartbeat,
    pub(super) planner: Planner,
}

/// What a leader carries from one round to the next: nothing but its own writes that no watch has shown yet, who has to
/// wait after a failed write, and what was logged last.
pub(super) struct Cycle {
    context: Context,
    memory: Memory,
    delays: Delays,
    rate: StatusRate,
    /// From when on an unknown outcome may be settled, by shadow: what was sent takes no effect any more by then.
    settle_from: BTreeMap<String, Instant>,
    held: BTreeMap<String, HoldReason>,
    /// Where the decision is that was asked for and has not come yet, and whether every write had ended when it was.
    deciding: Option<(Progress, bool)>,
}

impl Cycle {
    pub(super) fn new(context: Context) -> Self {
        Self {
            context,
            memory: Memory::default(),
            delays: Delays::default(),
            rate: StatusRate::default(),
            settle_from: BTreeMap::new(),
            held: BTreeMap::new(),
            deciding: None,
        }
    }

    /// Plans, executes and publishes once; says when time alone asks for the next round.
    ///
    /// # Errors
    /// When there is no plan in time. What it would have been is lost with it, and no further round may follow.
    pub(super) async fn round(&mut self, watches: &Watches, now: Timestamp) -> Result<Option<Timestamp>, Stuck> {
        self.settle(now).await;
        let decision = self.decide(watches, now).await?;
        let Decision { snapshot, plan, objections, shadows, policies, seconds, .. } = decision;
        self.context.metrics.planned(seconds);
        self.context.metrics.show(&snapshot, &plan);
        self.log(&plan, &objections);
        let (executed, written_to) = self.execute(&snapshot, &plan, &objections, now).await;
        let published = self.publish(&snapshot, (shadows, policies), &written_to, now).await;
        let (conflicts, more) = (executed.conflicts | published.conflicts, executed.more | published.more);
        // A conflict ends with the watch showing what somebody else wrote; it is looked for again in case it does not.
        // So is a write whose outcome is unknown.
        let again = conflicts || !self.memory.own.unknown().is_empty();
        let again = again.then(|| now.checked_add(LOOK_AGAIN).unwrap_or(now));
        // What is left is planned anew, at once; after a conflict, which would come again at once, with what the watches show next.
        let again = if more && !conflicts { Some(now) } else { again };
        Ok([plan.wake_at, self.delays.next(now), self.rate.next(), again].into_iter().flatten().min())
    }

    /// Whether every write has an outcome that is known. One that was answered with an error may take effect yet.
    pub(super) fn is_settled(&self) -> bool {
        self.memory.own.unknown().is_empty()
    }

    /// What is left of a round that was broken off: writes that have not ended.
    ///
    /// # Errors
    /// When it was broken off while it waited for a decision. That is still being made, and no other may be asked for beside it.
    pub(super) fn broken_off(&self) -> Result<bool, Stuck> {
        let Some((progress, settled)) = &self.deciding else { return Ok(false) };
        Err(Stuck { place: progress.now(), settled: *settled })
    }

    /// Reads the shadows whose last write has an unknown outcome, and finishes what that write had begun.
    async fn settle(&mut self, now: Timestamp) {
        self.settle_from.retain(|shadow, _| self.memory.own.unknown().contains_key(shadow));
        let landed = |shadow: &str| self.settle_from.get(shadow).is_none_or(|from| *from <= Instant::now());
        let unknown = self.memory.own.unknown().values();
        let unknown = unknown.filter(|action| landed(&action.shadow) && self.delays.may_write(&action.shadow, now));
        let unknown = batch(unknown.map(|action| (**action).clone())).now;
        let Context { writer, leadership, heartbeat, .. } = &self.context;
        for (action, settled) in settle_all(writer, leadership, heartbeat, unknown).await {
            match settled {
                Ok(outcome) => self.memory.own.note(&action.shadow, outcome),
                Err(error) => {
                    self.settle_from.insert(action.shadow.clone(), Instant::now() + WRITE_DEADLINE);
                    tracing::warn!(shadow = action.shadow, %error, "outcome of a write is still unknown");
                    self.delays.failed(&action.shadow, now, fastrand::f64());
                }
            }
        }
    }

    async fn decide(&mut self, watches: &Watches, now: Timestamp) -> Result<Decision, Stuck> {
        let stuck = self.delays.stuck(now).map(str::to_owned).collect();
        self.deciding = Some((self.memory.parsed.progress(), self.is_settled()));
        let work = Work { now, watches: watches.clone(), stuck, memory: std::mem::take(&mut self.memory) };
        let mut decision = self.context.planner.decide(work).await?;
        self.memory = std::mem::take(&mut decision.memory);
        self.deciding = None;
        let Snapshot { shadows, policies, .. } = &decision.snapshot;
        let shadows = shadows.keys().map(|node| shadow_name(node));
        let shadows = shadows.flat_map(|shadow| [conditions_of(&shadow), shadow]);
        let known: BTreeSet<_> = shadows.chain(policies.keys().map(|policy| status_of(policy))).collect();
        self.delays.keep(|object| known.contains(object));
        Ok(decision)
    }

    /// One line for each objection, and one for each node whose reason to wait has changed.
    fn log(&mut self, plan: &Plan, objections: &[Objection]) {
        for Objection { node, verb, broken } in objections {
            self.context.metrics.objected(verb.as_str());
            tracing::error!(node, action = verb.as_str(), broken = %broken, "plan refused by its check");
        }
        let mut held = BTreeMap::new();
        for (node, node_plan) in &plan.nodes {
            let before = self.held.get(node);
            match &node_plan.hold {
                Some(hold) => {
                    if before != Some(&hold.reason) {
                        tracing::info!(node, reason = hold.reason.as_str(), message = hold.message, "node held");
                    }
                    held.insert(node.clone(), hold.reason);
                }
                None if before.is_some() => tracing::info!(node, "node no longer held"),
                None => {}
            }
        }
        self.held = held;
        tracing::debug!(plan = report::render(plan, objections), "planned");
    }

    /// Executes a batch of what was not refused and need not wait; says to which shadows specs were written.
    async fn execute(
        &mut self,
        snapshot: &Snapshot,
        plan: &Plan,
        objections: &[Objection],
        now: Timestamp,
    ) -> (Written, BTreeSet<String>) {
        let actions = unobjected(plan, objections).filter(|action| self.delays.may_write(&action.shadow, now)).cloned();
        let Batch { now: actions, more } = batch::of_actions(actions.collect());
        let written_to = actions.iter().map(|action| action.shadow.clone()).collect();
        let mut written = Written { conflicts: false, more };
        let Context { writer, leadership, heartbeat, .. } = &self.context;
        for Executed { action, outcome, error, settle_from } in execute(writer, leadership, heartbeat, actions).await {
            let verb = action.verb.as_str();
            let result = error.as_ref().map_or("ok", WriteError::as_str);
            self.context.metrics.wrote(verb, result);
            self.settle_from.insert(action.shadow.clone(), settle_from);
            if let Some(outcome) = outcome {
                self.memory.own.note(&action.shadow, outcome);
            }
            match error {
                None => {
                    self.delays.succeeded(&action.shadow);
                    self.context.metrics.spec_written(&action, now);
                    events::of_action(snapshot, &action).into_iter().for_each(|new| self.context.recorder.record(new));
                    let version = action.desired.version.as_ref().map(ToString::to_string);
                    tracing::info!(
                        node = action.node,
                        action = verb,
                        version,
                        policy = action.desired.policy,
                        "shadow written"
                    );
                }
                Some(WriteError::Conflict) => {
                    tracing::debug!(node = action.node, action = verb, "shadow has changed meanwhile");
                    written.conflicts = true;
                }
                Some(error) => {
                    tracing::warn!(node = action.node, action = verb, %error, "shadow not written");
                    self.delays.failed(&action.shadow, now, fastrand::f64());
                }
            }
        }
        (written, written_to)
    }

    /// Publishes a batch of what has changed; not of the shadows that were `written_to`, which are as no plan has seen them yet.
    async fn publish(
        &mut self,
        snapshot: &Snapshot,
        (mut changed, mut policies): (Vec<ShadowStatus>, Vec<PolicyStatus>),
        written_to: &BTreeSet<String>,
        now: Timestamp,
    ) -> Written {
        // The answer to such a write would pass for an answer to the one that is unknown.
        let unknown = self.memory.own.unknown();
        changed.retain(|change| !written_to.contains(&change.shadow) && !unknown.contains_key(&change.shadow));
        changed.retain(|change| self.delays.may_write(&conditions_of(&change.shadow), now));
        let Batch { now: changed, more } = batch(changed);
        let mut written = Written { conflicts: false, more };
        let Context { writer, leadership, heartbeat, .. } = &self.context;
        for published in publish_conditions(writer, leadership, heartbeat, changed).await {
            let result = published.as_ref().map_or_else(|(_, error)| error.as_str(), |_| "ok");
            self.context.metrics.wrote("conditions", result);
            match published {
                Ok(object) => {
                    let name = kube::ResourceExt::name_any(&object);
                    self.delays.succeeded(&conditions_of(&name));
                    self.memory.own.note(&name, Outcome::Stored(Box::new(object)));
                }
                Err((shadow, WriteError::Conflict)) => {
                    tracing::debug!(shadow, "shadow has changed meanwhile");
                    written.conflicts = true;
                }
                Err((shadow, error)) => {
                    tracing::warn!(shadow, %error, "conditions not written");
                    self.delays.failed(&conditions_of(&shadow), now, fastrand::f64());
                }
            }
        }
        self.rate.begin(|policy| snapshot.policies.contains_key(policy));
        policies.retain(|change| self.delays.may_write(&status_of(&change.policy), now));
        let paced = policies.into_iter().filter(|change| self.rate.may_write(&change.policy, now));
        let Batch { now: changed, more } = batch(paced);
        written.more |= more;
        let Context { writer, leadership, heartbeat, .. } = &self.context;
        for (policy, published) in publish_statuses(writer, leadership, heartbeat, changed).await {
            self.context.metrics.wrote("status", published.as_ref().map_or_else(WriteError::as_str, |_| "ok"));
            match published {
                Ok(status) => {
                    self.delays.succeeded(&status_of(&policy));
                    let before = snapshot.policies.get(&policy);
                    before.into_iter().for_each(|facts| self.memory.undecodable.wrote(facts, &status));
                    let new = before.map(|before| events::of_status(before, &status));
                    new.into_iter().flatten().for_each(|new| self.context.recorder.record(new));
                }
                Err(error) => {
                    tracing::warn!(policy, %error, "status not written");
                    self.delays.failed(&status_of(&policy), now, fastrand::f64());
                }
            }
        }
        written
    }
}

/// How a portion of writes ended.
#[derive(Debug, Clone, Copy)]
struct Written {
    /// Some object was not as the plan saw it.
    conflicts: bool,
    /// The plan asks for more than the batch.
    more: bool,
}

/// What a shadow's conditions are called among the delays: a failure to write them keeps no spec back.
fn conditions_of(shadow: &str) -> String {
    format!("{shadow}/conditions")
}

/// What a policy's status is called among the delays.
fn status_of(policy: &str) -> String {
    format!("policies/{policy}/status")
}

#[cfg(test)]
mod tests;
