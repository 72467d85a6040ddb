//! How long to wait before something that has failed is tried again.

use std::time::Duration;

/// Pauses that double from the first to the longest. Chance takes up to half of each, so that those who failed together do not come
/// back together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest one.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row. `chance` is a number from 0 to 1.
    #[must_use]
    pub fn pause(self, failures: u32, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(31)).min(self.longest);
        doubled.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_chance_takes_at_most_half() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
        let seconds = |failures| backoff.pause(failures, 1.0).as_secs();
        assert_eq!([1, 2, 3, 5, 6, u32::MAX].map(seconds), [1, 2, 4, 16, 30, 30]);
        assert_eq!(backoff.pause(3, 0.0), Duration::from_secs(2));
    }
}
