//! How long many calls of one kind took.

use std::time::Duration;

/// The calls of one measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    /// Of those that were answered as they should be, sorted.
    taken: Vec<Duration>,
    /// How many were not.
    pub(crate) failed: usize,
    window: Duration,
}

impl Latencies {
    /// Calls that were made within a time; `None` is one that failed.
    pub(crate) fn of(calls: impl IntoIterator<Item = Option<Duration>>, window: Duration) -> Self {
        let calls: Vec<_> = calls.into_iter().collect();
        let mut taken: Vec<_> = calls.iter().flatten().copied().collect();
        taken.sort_unstable();
        Self { failed: calls.len() - taken.len(), taken, window }
    }

    /// How many succeeded.
    pub(crate) fn count(&self) -> usize {
        self.taken.len()
    }

    /// How many succeeded in a second.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(crate) fn per_second(&self) -> f64 {
        self.taken.len() as f64 / self.window.as_secs_f64()
    }

    /// The time within which `percent` of 100 were answered; zero when there were none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let index = (self.taken.len() * percent).div_ceil(100).saturating_sub(1);
        self.taken.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_those_that_were_answered() {
        let calls = (1..=200).map(|number| (number % 2 == 0).then(|| Duration::from_millis(number)));
        let latencies = Latencies::of(calls, Duration::from_secs(10));
        assert_eq!(latencies.failed, 100);
        assert_eq!(latencies.percentile(99), Duration::from_millis(198));
        assert_eq!(latencies.percentile(50), Duration::from_millis(100));
        assert!((latencies.per_second() - 10.0).abs() < 1e-9);
        assert_eq!(Latencies::default().percentile(99), Duration::ZERO);
    }
}
