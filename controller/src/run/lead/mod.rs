//! The loop: stand by, take over, lead; and as the leader: something changed, or time has come -> a round.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use runtime::clock;
use runtime::events::Recorder;
use runtime::health::Heartbeat;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::cycle::{Context, Cycle};
use super::planner::{Planner, Stuck};
use super::resign::write_down;
use super::takeover::take_over;
use crate::leadership::Term;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::watch::Watches;
use crate::write::{WRITE_DEADLINE, Writer};

/// How long changes are gathered before a plan is made: a list of a thousand objects is one plan, not a thousand.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// How often the loop shows that it is alive when nothing happens.
const BEAT: Duration = Duration::from_secs(10);
/// How long the loop waits when time alone changes nothing; a beat comes long before this.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// One controller, leading or not.
pub(super) struct Controller {
    pub(super) watches: Watches,
    pub(super) writer: Writer,
    pub(super) recorder: Recorder,
    pub(super) metrics: Metrics,
    pub(super) heartbeat: Heartbeat,
    pub(super) leadership: Leadership,
    pub(super) planner: Planner,
}

impl Controller {
    /// Runs until `stop`, and tells `idle` as soon as it has ended if no write is under way then.
    ///
    /// # Errors
    /// When it could not plan any more, and why; it has not led since, and has shown no sign of life.
    pub(super) async fn run(mut self, stop: &CancellationToken, idle: oneshot::Sender<()>) -> Result<(), Stuck> {
        let mut clean = true;
        let mut outcome = Ok(());
        while !stop.is_cancelled() && outcome.is_ok() {
            self.metrics.stands_by();
            let mut leadership = self.leadership.clone();
            let gained = self.alive(leadership.gained()).await;
            let Some(term) = gained else { break };
            self.leadership = leadership;
            self.metrics.leads();
            match self.lead(term).await {
                Ok(settled) => clean = settled,
                Err(stuck) => {
                    clean = stuck.settled;
                    let resigned = self.resign(&stuck);
                    stop.run_until_cancelled(resigned).await;
                    outcome = Err(stuck);
                }
            }
            tracing::info!("leads no longer");
        }
        self.metrics.stands_by();
        if clean {
            // Nobody waits for it when the lease has ended by itself.
            let _ = idle.send(());
        } else {
            drop(idle);
        }
        // The program is alive without its loop: it answers probes and scrapes until somebody ends it.
        stop.cancelled().await;
        outcome
    }

    /// Ends a lead in which nothing can be planned any more. What is stuck is a thread of this process alone, and goes with it.
    async fn resign(&self, stuck: &Stuck) {
        self.heartbeat.give_up();
        let place = stuck.place.as_ref();
        let step = place.map(|place| place.step.to_string());
        tracing::error!(policy = place.map(|place| place.policy.as_str()), step, error = %stuck, "planning is stuck");
        if let Some(place) = place {
            write_down(place, &self.writer, &self.leadership, &self.watches).await;
        }
    }

    /// Leads for one term; says whether every write that was begun has ended.
    async fn lead(&self, term: Term) -> Result<bool, Stuck> {
        let over = || async {
            self.leadership.clone().over().await;
        };
        tokio::select! {
            () = over() => return Ok(true),
            () = self.alive(take_over(term, &self.writer, &self.watches)) => {}
        }
        tracing::info!("watches show everything, leading");
        let mut cycle = Cycle::new(Context {
            writer: self.writer.clone(),
            recorder: self.recorder.clone(),
            metrics: self.metrics.clone(),
            leadership: self.leadership.clone(),
            heartbeat: self.heartbeat.clone(),
            planner: self.planner.clone(),
        });
        let mut wake_at = Instant::now();
        while self.leadership.holds() {
            tokio::select! {
                () = over() => return Ok(cycle.is_settled()),
                () = self.watches.changed() => sleep(DEBOUNCE).await,
                () = self.alive(sleep_until(wake_at)) => {}
            }
            self.heartbeat.beat();
            // Once leadership is over no further write is begun, so a round ends soon; what does not is left to its deadline.
            let too_late = async {
                over().await;
                sleep(WRITE_DEADLINE).await;
            };
            let wake = tokio::select! {
                wake = cycle.round(&self.watches, clock::now()) => wake?,
                () = too_late => return cycle.broken_off(),
            };
            wake_at = Instant::now() + until(wake);
        }
        Ok(cycle.is_settled())
    }

    /// Shows a sign of life now and then while `waiting`.
    async fn alive<T>(&self, waiting: impl Future<Output = T>) -> T {
        tokio::select! {
            done = waiting => done,
            never = self.beats() => match never {},
        }
    }

    async fn beats(&self) -> Infallible {
        loop {
            self.heartbeat.beat();
            sleep(BEAT).await;
        }
    }
}

fn until(wake: Option<Timestamp>) -> Duration {
    wake.map_or(LONGEST_WAIT, |at| Duration::try_from(at.duration_since(clock::now())).unwrap_or_default())
}

#[cfg(test)]
mod tests;
