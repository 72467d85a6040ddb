//! Evicting the pods of a node, from round to round, inside the request that asks for it: there is no work behind it to hand over
//! or to stop.

mod events;
mod pods;

use std::time::Duration;

use api::shadow::{Desired, OnTimeout};
use api::wire::{DrainProgress, Reason};
use api::{DisruptionRecord, Shadow};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::pods::{ask, pods_to_go};
use super::disrupt::{NotDisrupted, read_both};
use crate::app::App;
use crate::drain::{Answer, Tracker};
use crate::identity::Identity;
use crate::metrics::Level;
use crate::node::may_continue;
use crate::refusal::Refusal;

pub use events::vetoed;

/// How often it is looked again whether the drain may go on, and the pods are listed.
const ROUND: Duration = Duration::from_secs(2);
/// Evictions under way at a time; the waiting for pods to end does not count.
const MOST_EVICTIONS: usize = 10;
/// The time a drain has where the shadow does not say.
const DEFAULT_TIMEOUT_SECONDS: u32 = 1800;

/// How a drain's request ends well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every selected pod is gone.
    Drained,
    /// The caller's time is over, the drain is not.
    Unfinished(DrainProgress),
}

/// One drain request.
struct Drain<'a> {
    app: &'a App,
    identity: &'a Identity,
    tracker: Tracker,
    evictions: FuturesUnordered<BoxFuture<'a, (String, Answer)>>,
    /// Since when the tracker's times are counted.
    begun: Instant,
    /// Since when the drain is under way, over all its requests.
    since: Timestamp,
    /// Whether the last round found that it may go on.
    may_go_on: bool,
    /// Since when what is left is deleted, past its budgets.
    forced: Option<Timestamp>,
    /// Whether the forced drain waits for none but the operator's own pods any more.
    overdue: bool,
}

/// Drains the caller's node, whose cordon `record` tells of, until it is over or `until` has passed. Stops where it is
/// when dropped.
///
/// # Errors
/// When it is no longer allowed, or the time of the drain is over.
#[tracing::instrument(skip_all, fields(node = identity.node))]
pub async fn drain(
    app: &App,
    identity: &Identity,
    record: &DisruptionRecord,
    until: Option<Instant>,
) -> Result<Outcome, NotDisrupted> {
    let _open = app.metrics.drain();
    let mut waiting = app.metrics.blocked_pods();
    let since = record.drain_began.unwrap_or_else(|| app.now());
    let (tracker, begun) = app.drains.take(&identity.node_uid, since);
    let mut drain = Drain {
        app,
        identity,
        tracker,
        evictions: FuturesUnordered::new(),
        begun,
        since,
        may_go_on: false,
        forced: None,
        overdue: false,
    };
    let outcome = drain.run(until, &mut waiting).await;
    events::ended(app, identity, drain.since, &drain.tracker, &outcome);
    outcome
}

async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        let tracker = std::mem::take(&mut self.tracker);
        self.app.drains.leave(&self.identity.node_uid, self.since, tracker, self.begun);
    }
}

impl<'a> Drain<'a> {
    /// Evicts until the drain is over or `until` has passed.
    async fn run(&mut self, until: Option<Instant>, waiting: &mut Level) -> Result<Outcome, NotDisrupted> {
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.next_due();
            tokio::select! {
                _ = rounds.tick() => {
                    if self.round().await? {
                        return Ok(Outcome::Drained);
                    }
                    waiting.set(self.tracker.blocked());
                    events::blocked(self.app, self.identity, self.since, &self.tracker);
                }
                Some((uid, answer)) = self.evictions.next() => self.answered(&uid, &answer),
                () = reached(due) => {}
                () = reached(until) => return Ok(Outcome::Unfinished(self.progress())),
                () = self.app.stop.cancelled(), if until.is_some() => return Ok(Outcome::Unfinished(self.progress())),
            }
            self.evict();
        }
    }

    /// Looks at everything anew. Answers whether the drain is over.
    async fn round(&mut self) -> Result<bool, NotDisrupted> {
        match self.look().await {
            Ok(over) => Ok(over),
            // Nothing can be known now, so nothing more is done until it can.
            Err(NotDisrupted::Refused(refusal)) if refusal.reason == Reason::Unavailable => {
                self.may_go_on = false;
                tracing::warn!(node = self.identity.node, error = refusal.error, "drain is suspended");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn look(&mut self) -> Result<bool, NotDisrupted> {
        let (node, shadow) = read_both(self.app, self.identity).await?;
        let record = may_continue(&shadow, &node)?;
        self.since = record.drain_began.unwrap_or(self.since);
        let pods = pods_to_go(self.app, self.identity, self.since, self.overdue).await?;
        self.tracker.observe(pods, self.begun.elapsed());
        self.may_go_on = true;
        if self.tracker.left() == 0 {
            return Ok(true);
        }
        self.judge_time(&shadow)
    }

    /// What the drain's time says while pods are left. Answers whether the drain is over without them.
    fn judge_time(&mut self, shadow: &Shadow) -> Result<bool, NotDisrupted> {
        let (timeout, on_timeout) = terms(&shadow.desired);
        let now = self.app.now();
        if now.duration_since(self.since) < timeout {
            return Ok(false);
        }
        let left = self.tracker.names().join(", ");
        match on_timeout {
            OnTimeout::Abort if self.identity.ours => {
                let error = format!("the drain has not ended in time; left: {left}");
                Err(Refusal::new(Reason::DrainTimedOut, error).into())
            }
            // An original agent would count that as a crash.
            OnTimeout::Abort => Ok(false),
            OnTimeout::Force => {
                let forced = self.since.saturating_add(timeout).unwrap_or(now);
                if self.forced.is_none() {
                    tracing::warn!(node = self.identity.node, left, "drain is forced");
                    self.tracker.ask_anew(self.begun.elapsed());
                }
                self.forced = Some(forced);
                let over = self.tracker.is_overdue(forced, now);
                if over && !self.overdue {
                    // The next round has the operator's own pods in it.
                    self.overdue = true;
                    return Ok(false);
                }
                if over {
                    tracing::warn!(node = self.identity.node, left, "forced drain leaves pods behind");
                }
                Ok(over)
            }
        }
    }

    /// Asks for the evictions that are due, as far as the bound lets them.
    fn evict(&mut self) {
        if !self.may_go_on {
            return;
        }
        let room = MOST_EVICTIONS.saturating_sub(self.evictions.len());
        let (app, forced) = (self.app, self.forced.is_some());
        for pod in self.tracker.due(self.begun.elapsed(), room) {
            self.evictions.push(Box::pin(ask(app, pod, forced)));
        }
    }

    fn answered(&mut self, uid: &str, answer: &Answer) {
        self.app.metrics.evicted(answer);
        self.tracker.answered(uid, answer, self.begun.elapsed(), fastrand::f64());
    }

    fn next_due(&self) -> Option<Instant> {
        let possible = self.may_go_on && self.evictions.len() < MOST_EVICTIONS;
        let due = self.tracker.next_due().filter(|_| possible)?;
        Some(self.begun + due)
    }

    fn progress(&self) -> DrainProgress {
        let elapsed = self.app.now().duration_since(self.since);
        self.tracker.progress(self.begun.elapsed(), elapsed)
    }
}

/// How long the drain may take, and what then.
fn terms(desired: &Desired) -> (SignedDuration, OnTimeout) {
    let (seconds, on_timeout) = desired.drain.unwrap_or((DEFAULT_TIMEOUT_SECONDS, OnTimeout::Abort));
    (SignedDuration::from_secs(seconds.into()), on_timeout)
}
