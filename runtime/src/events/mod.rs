//! Kubernetes Events, written beside a program's work: nothing waits for one or fails with one.

mod allowance;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api::event::{Event, NewEvent};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::clock;

pub use allowance::Allowance;

/// Events that wait to be written; further ones are dropped.
pub const QUEUE: usize = 256;
/// How long the writing of one may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Between two writes after one that has failed. It is not tried again: nobody knows whether it took effect.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// What became of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Kubernetes has it.
    Written,
    /// Kubernetes did not take it, or did not answer.
    Failed,
    /// There was no room in the queue, or none in the allowance.
    Dropped,
}

impl Outcome {
    /// One word, for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "ok",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// Counts what became of an Event with this reason.
type Count = Arc<dyn Fn(&str, Outcome) + Send + Sync>;

/// Takes Events that are to be written. Clones share the queue.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Event>,
    count: Count,
}

/// Writes the Events that its recorders have taken.
pub struct Publisher {
    /// Those that wait.
    pub queue: mpsc::Receiver<Event>,
    allowance: Option<Allowance>,
    count: Count,
}

/// A recorder, and what writes its Events, within the allowance where there is one.
#[must_use]
pub fn events(
    allowance: Option<Allowance>,
    count: impl Fn(&str, Outcome) + Send + Sync + 'static,
) -> (Recorder, Publisher) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let count: Count = Arc::new(count);
    (Recorder { queue: sender, count: count.clone() }, Publisher { queue, allowance, count })
}

impl Recorder {
    /// Has an Event written, if there is room.
    pub fn record(&self, new: NewEvent) {
        let reason = new.reason;
        if self.queue.try_send(new.into_event(clock::now())).is_err() {
            (self.count)(reason, Outcome::Dropped);
            tracing::debug!(reason, "no room for an event");
        }
    }
}

impl Publisher {
    /// Writes one Event after the other until the last recorder is gone.
    pub async fn publish<F, E>(mut self, write: impl Fn(Event) -> F)
    where
        F: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        let mut failures = 0_u32;
        while let Some(event) = self.queue.recv().await {
            let reason = event.reason.clone().unwrap_or_default();
            if self.allowance.as_mut().is_some_and(|allowance| !allowance.take(clock::now())) {
                (self.count)(&reason, Outcome::Dropped);
                continue;
            }
            let object = event.regarding.as_ref().and_then(|regarding| regarding.name.clone());
            let error = match timeout(DEADLINE, write(event)).await {
                Ok(Ok(())) => {
                    failures = 0;
                    (self.count)(&reason, Outcome::Written);
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            (self.count)(&reason, Outcome::Failed);
            tracing::warn!(object, reason, error, "event not written");
            failures = failures.saturating_add(1);
            sleep(BACKOFF.pause(failures, fastrand::f64())).await;
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
