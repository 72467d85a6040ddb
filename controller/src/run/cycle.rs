//! One round of the loop.

use std::collections::{BTreeMap, BTreeSet};

use api::{HoldReason, names::shadow_name};
use jiff::{SignedDuration, Timestamp};
use runtime::health::Heartbeat;
use tokio::time::Instant;

use super::{
    delays::Delays,
    pace::Pace,
    portion::{self, Portion, portion},
    unread::Unread,
};
use crate::{
    announce::Announcer,
    check::{Objection, check, unobjected},
    execute::{Executed, execute, settle_all},
    lease::Mandate,
    metrics::Metrics,
    news,
    own_writes::{Outcome, OwnWrites},
    plan::{Plan, plan},
    publish::{changed_statuses, publish_conditions, publish_statuses},
    report, shadow_status,
    snapshot::{Objects, Parsed, Snapshot},
    status::statuses,
    watch::Watches,
    write::{WRITE_DEADLINE, WriteError, Writer},
};

/// How long a conflict waits at most for the watch to show what somebody else wrote, and an unknown outcome to be read.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// What a leader acts through.
pub(super) struct Edge {
    pub(super) writer: Writer,
    pub(super) announcer: Announcer,
    pub(super) metrics: Metrics,
    pub(super) mandate: Mandate,
    /// What shows that the loop is alive; given for each write, since a round may be many.
    pub(super) heartbeat: Heartbeat,
}

/// What a leader carries from one round to the next: nothing but its own writes that no watch has shown yet, who has to
/// wait after a failed write, and what was logged last.
pub(super) struct Cycle {
    edge: Edge,
    own: OwnWrites,
    parsed: Parsed,
    delays: Delays,
    pace: Pace,
    unread: Unread,
    /// From when on an unknown outcome may be settled, by shadow: what was sent takes no effect any more by then.
    settle_from: BTreeMap<String, Instant>,
    held: BTreeMap<String, HoldReason>,
}

impl Cycle {
    pub(super) fn new(edge: Edge) -> Self {
        Self {
            edge,
            own: OwnWrites::default(),
            parsed: Parsed::default(),
            delays: Delays::default(),
            pace: Pace::default(),
            unread: Unread::default(),
            settle_from: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// Plans, executes and publishes once; says when time alone asks for the next round.
    pub(super) async fn round(&mut self, watches: &Watches, now: Timestamp) -> Option<Timestamp> {
        self.settle(now).await;
        let snapshot = self.snapshot(watches, now);
        let started = Instant::now();
        let plan = plan(&snapshot);
        let objections = check(&snapshot, &plan);
        self.edge.metrics.planned(started.elapsed().as_secs_f64());
        self.edge.metrics.show(&snapshot, &plan);
        self.log(&plan, &objections);
        let (executed, ordered) = self.execute(&snapshot, &plan, &objections, now).await;
        let published = self.publish(&snapshot, &plan, &objections, &ordered, now).await;
        let (conflicts, more) = (executed.conflicts | published.conflicts, executed.more | published.more);
        // A conflict ends with the watch showing what somebody else wrote; it is looked for again in case it does not.
        // So is a write whose outcome is unknown.
        let again = conflicts || !self.own.unknown().is_empty();
        let again = again.then(|| now.checked_add(LOOK_AGAIN).unwrap_or(now));
        // What is left is planned anew, at once; after a conflict, which would come again at once, with what the watches show next.
        let again = if more && !conflicts { Some(now) } else { again };
        [plan.wake_at, self.delays.next(now), self.pace.next(), again].into_iter().flatten().min()
    }

    /// Whether every write has an outcome that is known. One that was answered with an error may take effect yet.
    pub(super) fn is_settled(&self) -> bool {
        self.own.unknown().is_empty()
    }

    /// Reads the shadows whose last write has an unknown outcome, and finishes what that write had begun.
    async fn settle(&mut self, now: Timestamp) {
        self.settle_from.retain(|shadow, _| self.own.unknown().contains_key(shadow));
        let landed = |shadow: &str| self.settle_from.get(shadow).is_none_or(|from| *from <= Instant::now());
        let unknown = self.own.unknown().values();
        let unknown = unknown.filter(|action| landed(&action.shadow) && self.delays.may_write(&action.shadow, now));
        let unknown = portion(unknown.map(|action| (**action).clone())).now;
        let Edge { writer, mandate, heartbeat, .. } = &self.edge;
        for (action, settled) in settle_all(writer, mandate, heartbeat, unknown).await {
            match settled {
                Ok(outcome) => self.own.note(&action.shadow, outcome),
                Err(error) => {
                    self.settle_from.insert(action.shadow.clone(), Instant::now() + WRITE_DEADLINE);
                    tracing::warn!(shadow = action.shadow, %error, "outcome of a write is still unknown");
                    self.delays.failed(&action.shadow, now, fastrand::f64());
                }
            }
        }
    }

    fn snapshot(&mut self, watches: &Watches, now: Timestamp) -> Snapshot {
        let nodes = watches.nodes.state();
        let shadows = watches.shadows.state();
        let policies = watches.policies.state();
        self.own.forget_seen(shadows.iter().map(AsRef::as_ref));
        let objects = Objects {
            nodes: nodes.iter().map(AsRef::as_ref).collect(),
            shadows: shadows.iter().map(|shadow| self.own.newest(shadow)).collect(),
            policies: policies.iter().map(AsRef::as_ref).collect(),
            agents_ready: watches.agents_ready(),
        };
        let mut snapshot = self.parsed.snapshot(now, &objects);
        self.unread.fill(&mut snapshot.policies);
        self.own.obscure_unknown(&mut snapshot.shadows);
        let shadows = snapshot.shadows.keys().map(|node| shadow_name(node));
        let shadows: Vec<_> = shadows.collect();
        let conditions = shadows.iter().map(|shadow| conditions_of(shadow)).collect::<Vec<_>>();
        let known: BTreeSet<_> = shadows
            .into_iter()
            .chain(conditions)
            .chain(snapshot.policies.keys().map(|policy| status_of(policy)))
            .collect();
        self.delays.keep(|object| known.contains(object));
        snapshot.stuck = self.delays.stuck(now).map(str::to_owned).collect();
        snapshot
    }

    /// One line for each objection, and one for each node whose reason to wait has changed.
    fn log(&mut self, plan: &Plan, objections: &[Objection]) {
        for Objection { node, verb, broken } in objections {
            self.edge.metrics.objected(verb.as_str());
            tracing::error!(node, action = verb.as_str(), broken = %broken, "plan refused by its check");
        }
        let mut held = BTreeMap::new();
        for (node, standing) in &plan.nodes {
            let before = self.held.get(node);
            match &standing.hold {
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

    /// Executes a portion of what was not refused and need not wait; says to which shadows orders were written.
    async fn execute(
        &mut self,
        snapshot: &Snapshot,
        plan: &Plan,
        objections: &[Objection],
        now: Timestamp,
    ) -> (Written, BTreeSet<String>) {
        let actions = unobjected(plan, objections).filter(|action| self.delays.may_write(&action.shadow, now)).cloned();
        let Portion { now: actions, more } = portion::of_actions(actions.collect());
        let ordered = actions.iter().map(|action| action.shadow.clone()).collect();
        let mut written = Written { conflicts: false, more };
        let Edge { writer, mandate, heartbeat, .. } = &self.edge;
        for Executed { action, outcome, error, settle_from } in execute(writer, mandate, heartbeat, actions).await {
            let verb = action.verb.as_str();
            let result = error.as_ref().map_or("ok", WriteError::as_str);
            self.edge.metrics.wrote(verb, result);
            self.settle_from.insert(action.shadow.clone(), settle_from);
            if let Some(outcome) = outcome {
                self.own.note(&action.shadow, outcome);
            }
            match error {
                None => {
                    self.delays.succeeded(&action.shadow);
                    self.edge.metrics.ordered(&action, now);
                    news::of_action(snapshot, &action).into_iter().for_each(|news| self.edge.announcer.tell(news));
                    let version = action.order.version.as_ref().map(ToString::to_string);
                    tracing::info!(
                        node = action.node,
                        action = verb,
                        version,
                        policy = action.order.policy,
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
        (written, ordered)
    }

    /// Publishes a portion of what has changed; not of the shadows that were `ordered`, which are as no plan has seen them yet.
    async fn publish(
        &mut self,
        snapshot: &Snapshot,
        plan: &Plan,
        objections: &[Objection],
        ordered: &BTreeSet<String>,
        now: Timestamp,
    ) -> Written {
        let mut changed = shadow_status::changed(snapshot, plan);
        // The answer to such a write would pass for an answer to the one that is unknown.
        let unknown = self.own.unknown();
        changed.retain(|change| !ordered.contains(&change.shadow) && !unknown.contains_key(&change.shadow));
        changed.retain(|change| self.delays.may_write(&conditions_of(&change.shadow), now));
        let Portion { now: changed, more } = portion(changed);
        let mut written = Written { conflicts: false, more };
        let Edge { writer, mandate, heartbeat, .. } = &self.edge;
        for published in publish_conditions(writer, mandate, heartbeat, changed).await {
            let result = published.as_ref().map_or_else(|(_, error)| error.as_str(), |_| "ok");
            self.edge.metrics.wrote("conditions", result);
            match published {
                Ok(object) => {
                    let name = kube::ResourceExt::name_any(&object);
                    self.delays.succeeded(&conditions_of(&name));
                    self.own.note(&name, Outcome::Stored(Box::new(object)));
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
        let mut changed = changed_statuses(snapshot, statuses(snapshot, plan, objections));
        self.pace.begin(|policy| snapshot.policies.contains_key(policy));
        changed.retain(|change| self.delays.may_write(&status_of(&change.policy), now));
        let paced = changed.into_iter().filter(|change| self.pace.may_write(&change.policy, now));
        let Portion { now: changed, more } = portion(paced);
        written.more |= more;
        let Edge { writer, mandate, heartbeat, .. } = &self.edge;
        for (policy, published) in publish_statuses(writer, mandate, heartbeat, changed).await {
            self.edge.metrics.wrote("status", published.as_ref().map_or_else(WriteError::as_str, |_| "ok"));
            match published {
                Ok(status) => {
                    self.delays.succeeded(&status_of(&policy));
                    let before = snapshot.policies.get(&policy);
                    before.into_iter().for_each(|facts| self.unread.wrote(facts, &status));
                    let news = before.map(|before| news::of_status(before, &status));
                    news.into_iter().flatten().for_each(|news| self.edge.announcer.tell(news));
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
    /// The plan asks for more than the portion.
    more: bool,
}

/// What a shadow's conditions are called among the delays: a failure to write them keeps no order back.
fn conditions_of(shadow: &str) -> String {
    format!("{shadow}/conditions")
}

/// What a policy's status is called among the delays.
fn status_of(policy: &str) -> String {
    format!("policies/{policy}/status")
}

#[cfg(test)]
mod tests;
