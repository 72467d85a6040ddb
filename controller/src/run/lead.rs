//! The loop: stand by, take over, lead; and as the leader: something changed, or time has come -> a round.

use std::{convert::Infallible, time::Duration};

use jiff::Timestamp;
use runtime::{clock, health::Heartbeat};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    cycle::{Cycle, Edge},
    takeover::take_over,
};
use crate::{
    announce::Announcer,
    leadership::Term,
    lease::Mandate,
    metrics::Metrics,
    watch::Watches,
    write::{WRITE_DEADLINE, Writer},
};

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
    pub(super) announcer: Announcer,
    pub(super) metrics: Metrics,
    pub(super) heartbeat: Heartbeat,
    pub(super) mandate: Mandate,
}

impl Controller {
    /// Runs until `stop`, and tells `idle` if no write is under way then.
    pub(super) async fn run(mut self, stop: &CancellationToken, idle: oneshot::Sender<()>) {
        let mut clean = true;
        while !stop.is_cancelled() {
            self.metrics.stands_by();
            let mut mandate = self.mandate.clone();
            let gained = self.alive(mandate.gained()).await;
            let Some(term) = gained else { break };
            self.mandate = mandate;
            self.metrics.leads();
            clean = self.lead(term).await;
            tracing::info!("leads no longer");
        }
        self.metrics.stands_by();
        if clean {
            // Nobody waits for it when the lease has ended by itself.
            let _ = idle.send(());
        }
    }

    /// Leads for one term; says whether every write that was begun has ended.
    async fn lead(&self, term: Term) -> bool {
        let over = || async {
            self.mandate.clone().over().await;
        };
        tokio::select! {
            () = over() => return true,
            () = self.alive(take_over(term, &self.writer, &self.watches)) => {}
        }
        tracing::info!("watches show everything, leading");
        let mut cycle = Cycle::new(Edge {
            writer: self.writer.clone(),
            announcer: self.announcer.clone(),
            metrics: self.metrics.clone(),
            mandate: self.mandate.clone(),
            heartbeat: self.heartbeat.clone(),
        });
        let mut wake_at = Instant::now();
        while self.mandate.holds() {
            tokio::select! {
                () = over() => return cycle.is_settled(),
                () = self.watches.changed() => sleep(DEBOUNCE).await,
                () = self.alive(sleep_until(wake_at)) => {}
            }
            self.heartbeat.beat();
            // With the mandate no further write is begun, so a round ends soon; what does not is left to its deadline.
            let too_late = async {
                over().await;
                sleep(WRITE_DEADLINE).await;
            };
            let wake = tokio::select! {
                wake = cycle.round(&self.watches, clock::now()) => wake,
                () = too_late => return false,
            };
            wake_at = Instant::now() + until(wake);
        }
        cycle.is_settled()
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
