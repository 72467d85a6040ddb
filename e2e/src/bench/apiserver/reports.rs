//! Status reports: as many as go through, and at the rate of a cluster at work.

use std::time::Duration;

use agent::apiserver::Stored;
use api::BottlerocketShadowStatus;
use futures::future::join_all;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use super::site::{Caller, Site};
use crate::bench::latency::Latencies;

/// How often an agent reports at the rate of a cluster at work: far more often than ours do.
const EVERY: Duration = Duration::from_secs(10);

/// What a measurement of reports came to.
pub(super) struct Reports {
    pub(super) latencies: Latencies,
    /// TokenReviews, and the requests they were for.
    pub(super) reviews: u64,
    pub(super) requests: u64,
}

impl Reports {
    /// How many TokenReviews a thousand requests cost.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(super) fn reviews_per_thousand(&self) -> f64 {
        self.reviews as f64 * 1000.0 / (self.requests.max(1)) as f64
    }
}

/// A report that differs from the one before, so that it is a write.
pub(super) fn report(number: u64) -> anyhow::Result<BottlerocketShadowStatus> {
    Ok(serde_json::from_value(json!({
        "current_version": "1.50.0", "target_version": "1.51.0", "current_state": "Idle", "crash_count": 0,
        "agent_version": "0.1.0", "activity": "Idle", "message": format!("report {number}"),
        "available_versions": ["1.51.0", "1.50.0"],
    }))?)
}

/// Every agent reports again and again, `at_a_time` of them at a time.
pub(super) async fn as_many_as_go(site: &Site, at_a_time: usize, window: Duration) -> anyhow::Result<Reports> {
    measured(site, window, |begin| {
        let permits = Semaphore::new(at_a_time);
        async move {
            let permits = &permits;
            let all = site.callers.iter().map(async |caller| {
                let (mut taken, mut version, mut number) = (Vec::new(), None, 0);
                while begin.elapsed() < window {
                    let Ok(_permit) = permits.acquire().await else { break };
                    if begin.elapsed() < window {
                        number += 1;
                        taken.push(one(caller, number, &mut version).await);
                    }
                }
                taken
            });
            join_all(all).await
        }
    })
    .await
}

/// Every agent reports once in [`EVERY`], at a moment of its own.
pub(super) async fn at_a_clusters_pace(site: &Site, window: Duration) -> anyhow::Result<Reports> {
    measured(site, window, |begin| async move {
        let all = site.callers.iter().map(async |caller| {
            sleep(EVERY.mul_f64(fastrand::f64())).await;
            let (mut taken, mut version, mut number) = (Vec::new(), None, 1_000_000);
            while begin.elapsed() < window {
                let next = Instant::now() + EVERY;
                number += 1;
                taken.push(one(caller, number, &mut version).await);
                sleep_until(next).await;
            }
            taken
        });
        join_all(all).await
    })
    .await
}

async fn measured<F>(site: &Site, window: Duration, work: impl FnOnce(Instant) -> F) -> anyhow::Result<Reports>
where
    F: Future<Output = Vec<Vec<Option<Duration>>>>,
{
    let counts = async || {
        let reviews = site.metric("brupop_apiserver_token_reviews_total").await?;
        anyhow::Ok((reviews, site.metric("brupop_apiserver_requests_total").await?))
    };
    let before = counts().await?;
    let taken = work(Instant::now()).await;
    let after = counts().await?;
    let latencies = Latencies::of(taken.into_iter().flatten(), window);
    Ok(Reports { latencies, reviews: after.0 - before.0, requests: after.1 - before.1 })
}

/// One report, conditional on the version that the one before was stored as; the first one has to find it out.
pub(super) async fn one(caller: &Caller, number: u64, version: &mut Option<String>) -> Option<Duration> {
    if version.is_none() {
        let agent::apiserver::Found::Shadow(shadow) = caller.apiserver.read_through().await.ok()? else { return None };
        version.clone_from(&shadow.metadata.resource_version);
    }
    let (status, known) = (report(number).ok()?, version.take()?);
    let begin = Instant::now();
    let stored = caller.apiserver.report(&status, &known).await;
    let taken = begin.elapsed();
    match stored {
        Ok(Stored::As(stored)) => {
            *version = stored;
            Some(taken)
        }
        Ok(Stored::Conflict | Stored::Missing) | Err(_) => None,
    }
}
