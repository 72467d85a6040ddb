//! How long things take on a simulated host.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

/// A duration drawn evenly from between two bounds, so that a fleet does not move in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    least: Duration,
    most: Duration,
}

impl Span {
    /// Between `least` and `most`, both included. Always `least` when `most` is smaller.
    #[must_use]
    pub const fn between(least: Duration, most: Duration) -> Self {
        Self { least, most }
    }

    /// Always `duration`.
    #[must_use]
    pub const fn exactly(duration: Duration) -> Self {
        Self::between(duration, duration)
    }

    const fn millis(least: u64, most: u64) -> Self {
        Self::between(Duration::from_millis(least), Duration::from_millis(most))
    }

    pub(super) fn draw(self, rng: &mut Rng) -> Duration {
        let width = self.most.saturating_sub(self.least).as_nanos();
        let width = u64::try_from(width).unwrap_or(u64::MAX);
        self.least.saturating_add(Duration::from_nanos(rng.u64(0..=width)))
    }
}

/// The durations of one host. [`Default`] is quick enough for tests; where the real server's number is known it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// A refresh with the repository in reach.
    pub refresh: Span,
    /// A prepare: download and write of an image. Minutes on a real host.
    pub prepare: Span,
    /// An activate or a deactivate.
    pub activate: Span,
    /// How long an action takes to fail when the repository answers with errors (about a second on the real host).
    pub repository_refuses: Span,
    /// How long an action holds the lock when the repository accepts and never answers (151 s on the real host: 5 tries
    /// of 30 s).
    pub repository_hangs: Span,
    /// From the commit of a setting until the update programs' configuration files have it (50-60 ms on the real host).
    pub render: Span,
    /// From an accepted reboot until the host, and its socket, is gone.
    pub shutdown: Span,
    /// From power-on until the host answers again; once more for every boot that failed before.
    pub boot: Span,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            refresh: Span::millis(40, 60),
            prepare: Span::millis(1_000, 2_000),
            activate: Span::millis(60, 80),
            repository_refuses: Span::exactly(Duration::from_secs(1)),
            repository_hangs: Span::exactly(Duration::from_secs(151)),
            render: Span::millis(50, 60),
            shutdown: Span::millis(100, 300),
            boot: Span::millis(2_000, 4_000),
        }
    }
}

impl Timings {
    /// Everything is over at the moment it begins: the next request sees the outcome.
    #[must_use]
    pub const fn instant() -> Self {
        let none = Span::exactly(Duration::ZERO);
        Self {
            refresh: none,
            prepare: none,
            activate: none,
            repository_refuses: none,
            repository_hangs: none,
            render: none,
            shutdown: none,
            boot: none,
        }
    }
}

/// The moment `duration` after `at`; the end of time where that lies beyond it.
pub(super) fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_stays_between_its_bounds() {
        let span = Span::millis(50, 60);
        let mut rng = Rng::with_seed(7);
        for _ in 0..1_000 {
            let drawn = span.draw(&mut rng);
            assert!((span.least..=span.most).contains(&drawn), "{drawn:?}");
        }
    }

    #[test]
    fn a_span_upside_down_is_its_least() {
        let span = Span::millis(60, 50);
        assert_eq!(span.draw(&mut Rng::with_seed(7)), Duration::from_millis(60));
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let span = Timings::default().boot;
        assert_eq!(span.draw(&mut Rng::with_seed(3)), span.draw(&mut Rng::with_seed(3)));
    }
}
