//! Waiting for what a cluster does in its own time.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, anyhow};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

/// How often [`eventually`] asks.
const POLL: Duration = Duration::from_millis(50);

/// Asks until there is an answer, for what no watch shows. An error is an answer that may yet change: the last one is the
/// cause when none came within `patience`. `what` completes "gave up waiting for".
pub async fn eventually<T>(
    what: &str,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    let mut last_error = None;
    loop {
        match timeout_at(deadline, probe()).await {
            Ok(Ok(Some(answer))) => return Ok(answer),
            Ok(Ok(None)) => last_error = None,
            Ok(Err(error)) => last_error = Some(error),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            let cause = last_error.unwrap_or_else(|| anyhow!("it did not come about"));
            return Err(cause.context(format!("gave up waiting for {what} after {patience:?}")));
        }
        sleep(POLL).await;
    }
}

/// Watches an object until it meets `condition`, which sees `None` while it does not exist; returns what met it. `what`
/// completes "gave up waiting for".
pub async fn until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    patience: Duration,
    condition: impl Condition<K>,
) -> anyhow::Result<Option<K>>
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
{
    let object = timeout_at(Instant::now() + patience, await_condition(api.clone(), name, condition)).await;
    let object = object.with_context(|| format!("gave up waiting for {what} after {patience:?}: {name}"))?;
    object.with_context(|| format!("cannot watch {name} for {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_late_is_taken() {
        let mut asked = 0;
        let answer = eventually("an answer", Duration::from_secs(1), async || {
            asked += 1;
            match asked {
                1 => bail!("not yet"),
                2 => Ok(None),
                _ => Ok(Some("here")),
            }
        });
        assert_eq!(answer.await.unwrap(), "here");
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_names_the_last_error() {
        let started = Instant::now();
        let answer = eventually::<()>("a light", Duration::from_secs(1), async || bail!("dark"));
        assert_eq!(format!("{:#}", answer.await.unwrap_err()), "gave up waiting for a light after 1s: dark");
        assert_eq!(started.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_is_never_answered_does_not_hold_it_up() {
        let answer = eventually::<()>("a sign", Duration::from_secs(1), async || std::future::pending().await);
        assert_eq!(
            format!("{:#}", answer.await.unwrap_err()),
            "gave up waiting for a sign after 1s: it did not come about"
        );
    }
}
