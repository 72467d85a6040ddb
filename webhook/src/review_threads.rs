//! The threads on which policies are judged: a few of their own, away from those that serve, and not for ever.
//!
//! What a policy says is text that somebody else wrote. Reading it is meant to be cheap, whatever it says; this is for the day on which
//! it is not. A review that takes too long is answered without a decision, and goes on to occupy one of these threads and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use runtime::health::Heartbeat;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// How many reviews are judged at a time. One takes about a millisecond, so that more threads would not make any of them faster.
const THREADS: usize = 4;
/// How often it is looked whether a thread is free, to show that there is one.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Without a free thread for this long the process is to be restarted: a hundred times longer than anything takes.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Why there is no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoDecision {
    /// It was not found in time.
    #[error("the policy could not be judged within {0:?}: try again, or write it in a simpler way")]
    Late(Duration),
    /// Nobody was free to look for it.
    #[error("the webhook was busy with other policies for {0:?}: try again")]
    Busy(Duration),
    /// Judging it has failed.
    #[error("the policy could not be judged: judging it has failed")]
    Failed,
}

/// The threads on which policies are judged. Clones are the same threads.
#[derive(Debug, Clone)]
pub struct ReviewThreads(Arc<Semaphore>);

impl Default for ReviewThreads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(THREADS)))
    }
}

impl ReviewThreads {
    /// Does `work` on one of the threads. Work that is not done in time keeps its thread until it is done.
    ///
    /// # Errors
    /// When there is no outcome within `deadline`, for the first free thread and the work together.
    pub async fn judge<T, F>(&self, deadline: Duration, work: F) -> Result<T, NoDecision>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let mut begun = false;
        let judged = timeout(deadline, async {
            // The semaphore is never closed.
            let thread = self.0.clone().acquire_owned().await.map_err(|_| NoDecision::Failed)?;
            begun = true;
            let judging = spawn_blocking(move || {
                let outcome = work();
                drop(thread);
                outcome
            });
            judging.await.map_err(|_| NoDecision::Failed)
        })
        .await;
        match judged {
            Ok(judged) => judged,
            Err(_) if begun => Err(NoDecision::Late(deadline)),
            Err(_) => Err(NoDecision::Busy(deadline)),
        }
    }

    /// Gives a sign of life for as long as threads become free.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Infallible {
        loop {
            if self.0.acquire().await.is_ok() {
                heartbeat.beat();
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc;

    use runtime::health::Health;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::advance;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(2);

    /// Work that has begun and never ends, until what is returned second is dropped.
    async fn endless(threads: &ReviewThreads) -> (JoinHandle<Result<(), NoDecision>>, mpsc::Sender<()>) {
        let (never, stuck) = mpsc::channel();
        let (begins, begun) = oneshot::channel();
        let threads = threads.clone();
        let work = move || {
            begins.send(()).unwrap();
            let _ = stuck.recv();
        };
        let judged = tokio::spawn(async move { threads.judge(DEADLINE, work).await });
        begun.await.unwrap();
        (judged, never)
    }

    /// Lets time pass in small steps, so that every timer fires at its time. It does not pass by itself while a thread is at work.
    pub(crate) async fn pass(time: Duration) {
        const STEP: Duration = Duration::from_millis(100);
        for _ in 0..time.as_millis() / STEP.as_millis() {
            advance(STEP).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_never_ends_is_not_waited_for() {
        let threads = ReviewThreads::default();
        let (judged, _never) = endless(&threads).await;
        pass(DEADLINE).await;
        assert_eq!(judged.await.unwrap(), Err(NoDecision::Late(DEADLINE)));
        assert_eq!(threads.judge(DEADLINE, || "judged").await, Ok("judged"), "there are other threads");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_has_no_outcome_and_frees_its_thread() {
        let threads = ReviewThreads::default();
        for _ in 0..=THREADS {
            assert_eq!(threads.judge(DEADLINE, || panic!("boom")).await, Err::<(), _>(NoDecision::Failed));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_thread_nothing_is_begun_and_the_process_is_stuck_until_one_is_free() {
        let (threads, health) = (ReviewThreads::default(), Health::default());
        let heartbeat = health.heartbeat("judging", STUCK_AFTER);
        let beating = threads.clone();
        tokio::spawn(async move { beating.beat(&heartbeat).await });
        let mut work = Vec::new();
        for _ in 1..THREADS {
            work.push(endless(&threads).await);
        }
        pass(3 * STUCK_AFTER).await;
        assert_eq!(health.stuck(), [], "one is left");
        work.push(endless(&threads).await);
        pass(STUCK_AFTER / 2).await;
        assert_eq!(health.stuck(), [], "one may be free again soon");
        let waiting = threads.clone();
        let waiting = tokio::spawn(async move { waiting.judge(DEADLINE, || ()).await });
        pass(STUCK_AFTER).await;
        assert_eq!(waiting.await.unwrap(), Err(NoDecision::Busy(DEADLINE)));
        assert_eq!(health.stuck().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["judging"]);
        work.clear();
        assert_eq!(threads.judge(Duration::from_secs(3600), || ()).await, Ok(()));
        pass(2 * LOOK_EVERY).await;
        assert_eq!(health.stuck(), []);
    }
}
