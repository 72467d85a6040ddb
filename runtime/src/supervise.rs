//! Several named tasks that live and end together.

use std::any::Any;
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use anyhow::anyhow;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// Runs a program's long-lived tasks under one token. Dropping it aborts them: none is ever left behind.
#[derive(Debug)]
pub struct Supervisor {
    token: CancellationToken,
    leaving: CancellationToken,
    grace: Duration,
    lame_duck: Duration,
    tasks: JoinSet<anyhow::Result<()>>,
    names: BTreeMap<task::Id, &'static str>,
}

impl Supervisor {
    /// No tasks yet. `grace` is how long they may take to end once they are asked to; choose it shorter than the pod's
    /// `terminationGracePeriodSeconds`.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        let token = CancellationToken::new();
        let leaving = CancellationToken::new();
        Self { token, leaving, grace, lame_duck: Duration::ZERO, tasks: JoinSet::new(), names: BTreeMap::new() }
    }

    /// How much of the grace every task goes on as before once the program is told to stop: for a program behind a Service,
    /// which sends it new connections until every node has learned that it is leaving. None by default.
    #[must_use]
    pub fn with_lame_duck(mut self, lame_duck: Duration) -> Self {
        self.lame_duck = lame_duck;
        self
    }

    /// The token that is cancelled as soon as the program is told to stop: no longer to be ready, and to go on nevertheless.
    #[must_use]
    pub fn leaving(&self) -> CancellationToken {
        self.leaving.clone()
    }

    /// The token whose cancellation asks every task to end. Any task may cancel it to end the program.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Starts a task that is to run until the token is cancelled.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits until `stop` resolves, the token is cancelled or a task ends; then cancels the token, after `stop` when the lame
    /// duck's time has passed, and waits for the rest. All that takes the grace period at most; what still runs after that is
    /// aborted.
    ///
    /// # Errors
    /// When a task failed, panicked, ended before it was asked to, or still ran after the grace period: one line that names
    /// every one, the one that ended the program first.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut failures = Vec::new();
        let told = tokio::select! {
            biased;
            () = pin!(stop) => true,
            () = self.token.cancelled() => false,
            Some(failure) = next(&mut self.tasks, &mut self.names, true) => {
                failures.extend(failure);
                false
            }
        };
        let deadline = Instant::now() + self.grace;
        self.leaving.cancel();
        if told {
            tokio::select! {
                biased;
                () = self.token.cancelled() => {}
                () = sleep(self.lame_duck) => {}
                Some(failure) = next(&mut self.tasks, &mut self.names, true) => failures.extend(failure),
            }
        }
        self.token.cancel();
        while let Ok(Some(failure)) = timeout_at(deadline, next(&mut self.tasks, &mut self.names, false)).await {
            failures.extend(failure);
        }
        if !self.names.is_empty() {
            let names: Vec<_> = self.names.into_values().collect();
            failures.push(format!("still running after {:?}: {}", self.grace, names.join(", ")));
        }
        if failures.is_empty() {
            return Ok(());
        }
        Err(anyhow!(failures.join("; ")))
    }
}

/// The next task to end, and what is wrong with how it did; `None` when there is none left.
async fn next(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    names: &mut BTreeMap<task::Id, &'static str>,
    unasked: bool,
) -> Option<Option<String>> {
    let (id, result) = match tasks.join_next_with_id().await? {
        Ok((id, result)) => (id, Ok(result)),
        Err(error) => (error.id(), Err(error)),
    };
    let task = names.remove(&id).unwrap_or("without a name");
    let failure = match result {
        Ok(Ok(())) => unasked.then(|| format!("task {task} ended before it was asked to")),
        Ok(Err(error)) => Some(format!("task {task} failed: {error:#}")),
        Err(error) => Some(format!("task {task} panicked: {}", panic_message(error))),
    };
    match &failure {
        Some(failure) => tracing::error!(task, failure, "task failed"),
        None => tracing::debug!(task, "task ended"),
    }
    Some(failure)
}

fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => text(payload.as_ref()).unwrap_or("no message").to_owned(),
        Err(error) => error.to_string(),
    }
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use anyhow::Context;

    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn obedient(supervisor: &mut Supervisor, name: &'static str) {
        let token = supervisor.token();
        supervisor.spawn(name, async move {
            token.cancelled().await;
            Ok(())
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_every_task_and_is_clean() {
        let mut supervisor = Supervisor::new(GRACE);
        obedient(&mut supervisor, "one");
        obedient(&mut supervisor, "two");
        let begin = Instant::now();
        supervisor.run(tokio::time::sleep(Duration::from_secs(5))).await.unwrap();
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn told_to_stop_a_lame_duck_leaves_at_once_and_its_tasks_go_on_for_a_while() {
        let mut supervisor = Supervisor::new(GRACE).with_lame_duck(Duration::from_secs(3));
        let (token, leaving) = (supervisor.token(), supervisor.leaving());
        let begin = Instant::now();
        supervisor.spawn("one", async move {
            leaving.cancelled().await;
            assert_eq!(begin.elapsed(), Duration::from_secs(5));
            token.cancelled().await;
            assert_eq!(begin.elapsed(), Duration::from_secs(8));
            Ok(())
        });
        supervisor.spawn("two", pending());
        let error = supervisor.run(tokio::time::sleep(Duration::from_secs(5))).await.unwrap_err();
        assert_eq!(error.to_string(), "still running after 30s: two");
        assert_eq!(begin.elapsed(), Duration::from_secs(5) + GRACE, "its time is part of the grace");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lame_duck_that_fails_ends_at_once() {
        for told in [true, false] {
            let mut supervisor = Supervisor::new(GRACE).with_lame_duck(Duration::from_secs(3));
            obedient(&mut supervisor, "one");
            supervisor.spawn("two", async {
                sleep(Duration::from_secs(6)).await;
                Err(anyhow!("no route"))
            });
            let begin = Instant::now();
            let stop = async { if told { sleep(Duration::from_secs(5)).await } else { pending().await } };
            assert_eq!(supervisor.run(stop).await.unwrap_err().to_string(), "task two failed: no route");
            assert_eq!(begin.elapsed(), Duration::from_secs(6));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_ends_the_others_and_is_returned_with_its_cause() {
        let mut supervisor = Supervisor::new(GRACE);
        obedient(&mut supervisor, "one");
        supervisor.spawn("two", async { Err(anyhow!("no route")).context("cannot list nodes") });
        let error = supervisor.run(pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "task two failed: cannot list nodes: no route");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_the_others_and_is_named() {
        let mut supervisor = Supervisor::new(GRACE);
        obedient(&mut supervisor, "one");
        supervisor.spawn("two", async { panic!("boom {}", 1) });
        assert_eq!(supervisor.run(pending()).await.unwrap_err().to_string(), "task two panicked: boom 1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_unasked_is_a_failure() {
        let mut supervisor = Supervisor::new(GRACE);
        obedient(&mut supervisor, "one");
        supervisor.spawn("two", async { Ok(()) });
        assert_eq!(supervisor.run(pending()).await.unwrap_err().to_string(), "task two ended before it was asked to");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_may_end_the_program() {
        let mut supervisor = Supervisor::new(GRACE);
        obedient(&mut supervisor, "one");
        let token = supervisor.token();
        supervisor.spawn("two", async move {
            token.cancel();
            Ok(())
        });
        supervisor.run(pending()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_outlive_the_grace_are_named_and_dropped() {
        let mut supervisor = Supervisor::new(GRACE);
        let held = Arc::new(());
        for name in ["one", "two"] {
            let held = held.clone();
            supervisor.spawn(name, async move {
                pending::<()>().await;
                drop(held);
                Ok(())
            });
        }
        obedient(&mut supervisor, "three");
        supervisor.spawn("four", async { Err(anyhow!("first")) });
        let begin = Instant::now();
        let error = supervisor.run(pending()).await.unwrap_err();
        assert_eq!(begin.elapsed(), GRACE);
        assert_eq!(error.to_string(), "task four failed: first; still running after 30s: one, two");
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_during_the_shutdown_is_reported() {
        let mut supervisor = Supervisor::new(GRACE);
        let token = supervisor.token();
        supervisor.spawn("one", async move {
            token.cancelled().await;
            Err(anyhow!("lease not given back"))
        });
        let error = supervisor.run(async {}).await.unwrap_err();
        assert_eq!(error.to_string(), "task one failed: lease not given back");
    }
}
