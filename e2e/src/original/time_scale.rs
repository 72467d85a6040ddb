//! The original's pauses and limits, all divided by one factor.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// By how much everything is faster than the original.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeScale(u32);

impl TimeScale {
    pub(super) fn faster(factor: u32) -> Self {
        Self(factor.max(1))
    }

    pub(super) fn scaled(self, original: Duration) -> Duration {
        original / self.0
    }

    pub(super) async fn sleep(self, original: Duration) {
        sleep(self.scaled(original)).await;
    }

    /// Tries until it succeeds or the retries are used up.
    pub(super) async fn retry<T>(
        self,
        retries: Retries,
        mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut delays = retries.delays();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => match delays.next() {
                    Some(delay) => {
                        tracing::info!(error = format!("{error:#}"), "trying again");
                        self.sleep(delay).await;
                    }
                    None => return Err(error),
                },
            }
        }
    }
}

/// Five retries after pauses that grow as powers of the first (100 ms, then 10 s), up to a longest, each times a random
/// number from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries {
    first_millis: u64,
    longest: Duration,
}

impl Retries {
    const COUNT: u32 = 5;
    /// Of a call to the apiserver.
    pub(super) const APISERVER: Self = Self { first_millis: 100, longest: Duration::from_secs(10) };
    /// Of a look into its own caches.
    pub(super) const CACHE: Self = Self { first_millis: 1_000, longest: Duration::from_secs(30) };
    /// Of a request to the host.
    pub(super) const HOST: Self = Self { first_millis: 10_000, longest: Duration::from_secs(60) };

    fn longest_delays(self) -> impl Iterator<Item = Duration> {
        (1..=Self::COUNT).map(move |n| Duration::from_millis(self.first_millis.saturating_pow(n)).min(self.longest))
    }

    fn delays(self) -> impl Iterator<Item = Duration> {
        self.longest_delays().map(|delay| delay.mul_f64(fastrand::f64()))
    }
}

/// So many calls at once, and one more each period.
#[derive(Debug)]
pub(super) struct Limit {
    period: Duration,
    ahead: Duration,
    next: Option<Instant>,
}

impl Limit {
    pub(super) fn new(scale: TimeScale, period: Duration, burst: u32) -> Self {
        let period = scale.scaled(period);
        Self { period, ahead: period * burst.saturating_sub(1), next: None }
    }

    /// Takes a place, or says how long there is none.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let next = self.next.map_or(now, |next| next.max(now));
        let early = (next - now).saturating_sub(self.ahead);
        if early.is_zero() {
            self.next = Some(next + self.period);
            Ok(())
        } else {
            Err(early)
        }
    }

    pub(super) async fn ready(&mut self) {
        while let Err(early) = self.take(Instant::now()) {
            sleep(early).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(retries: Retries) -> Vec<f64> {
        retries.longest_delays().map(|delay| delay.as_secs_f64()).collect()
    }

    #[test]
    fn retries_grow_as_powers_up_to_the_longest() {
        assert_eq!(seconds(Retries::APISERVER), [0.1, 10.0, 10.0, 10.0, 10.0]);
        assert_eq!(seconds(Retries::CACHE), [1.0, 30.0, 30.0, 30.0, 30.0]);
        assert_eq!(seconds(Retries::HOST), [10.0, 60.0, 60.0, 60.0, 60.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn six_attempts_are_made_and_no_more() {
        let mut attempts = 0;
        let outcome = TimeScale::faster(1).retry(Retries::APISERVER, async || {
            attempts += 1;
            anyhow::bail!("no")
        });
        let outcome: anyhow::Result<()> = outcome.await;
        assert!(outcome.is_err());
        assert_eq!(attempts, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_one_each_period() {
        let mut limit = Limit::new(TimeScale::faster(10), Duration::from_secs(15), 4);
        let began = Instant::now();
        for _ in 0..4 {
            limit.ready().await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        limit.ready().await;
        assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
        limit.ready().await;
        assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_not_free_is_refused_until_it_is() {
        let mut limit = Limit::new(TimeScale::faster(1), Duration::from_secs(120), 1);
        let now = Instant::now();
        assert_eq!(limit.take(now), Ok(()));
        assert_eq!(limit.take(now + Duration::from_secs(20)), Err(Duration::from_secs(100)));
        assert_eq!(limit.take(now + Duration::from_secs(120)), Ok(()));
    }
}
