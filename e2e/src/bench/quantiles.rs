//! A measured distribution.

use std::time::Duration;

/// Durations, sorted.
pub(super) struct Sample(Vec<Duration>);

impl Sample {
    pub(super) fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort();
        Self(durations)
    }

    /// The smallest duration that `percent` of them do not exceed (nearest rank); zero where there are none.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// One line of a table.
    pub(super) fn line(&self, what: &str) -> String {
        let milliseconds = |duration: Duration| format!("{:>8.2}", duration.as_secs_f64() * 1e3);
        let [p50, p99, max] = [50, 99, 100].map(|percent| milliseconds(self.percentile(percent)));
        format!("{what:<58} {:>6} {p50} {p99} {max}", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sample = Sample::new((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(sample.percentile(50), Duration::from_millis(100));
        assert_eq!(sample.percentile(99), Duration::from_millis(198));
        assert_eq!(sample.percentile(100), Duration::from_millis(200));
        assert_eq!(Sample::new(Vec::new()).percentile(99), Duration::ZERO);
    }
}
