//! Objects whose last write failed, and when they may be written again. One object's trouble delays no other.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runtime::backoff::Backoff;

/// How long an object waits after a failure.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };
/// After so many failures in a row an object is stuck: others need not wait for it.
const STUCK: u32 = 3;

/// Objects whose last write failed.
#[derive(Debug, Default)]
pub(super) struct Delays(BTreeMap<String, Delay>);

#[derive(Debug)]
struct Delay {
    failures: u32,
    until: Timestamp,
}

impl Delay {
    /// Whether it is to be waited for. No wait ends later than the longest from now: a clock that was put back makes none longer.
    fn holds(&self, now: Timestamp) -> bool {
        self.until > now && self.until.duration_since(now).unsigned_abs() <= BACKOFF.longest
    }
}

impl Delays {
    /// Notes a failed write. `chance`, from 0 to 1, is that of [`Backoff::pause`].
    pub(super) fn failed(&mut self, object: &str, now: Timestamp, chance: f64) {
        let delay = self.0.entry(object.to_owned()).or_insert(Delay { failures: 0, until: now });
        delay.failures = delay.failures.saturating_add(1);
        delay.until = now.checked_add(BACKOFF.pause(delay.failures, chance)).unwrap_or(Timestamp::MAX);
    }

    /// Notes a write that succeeded.
    pub(super) fn succeeded(&mut self, object: &str) {
        self.0.remove(object);
    }

    /// Whether the object may be written now.
    pub(super) fn may_write(&self, object: &str, now: Timestamp) -> bool {
        self.0.get(object).is_none_or(|delay| !delay.holds(now))
    }

    /// The objects that wait because several writes to them failed in a row.
    pub(super) fn stuck(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let stuck = self.0.iter().filter(move |(_, delay)| delay.failures >= STUCK && delay.holds(now));
        stuck.map(|(object, _)| object.as_str())
    }

    /// When the first of the objects may be written again.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.values().filter(|delay| delay.holds(now)).map(|delay| delay.until).min()
    }

    /// Forgets objects that are gone.
    pub(super) fn keep(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|object, _| exists(object));
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_end_with_a_success() {
        let mut delays = Delays::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut waits = Vec::new();
        for _ in 0..9 {
            delays.failed("a", now, 1.0);
            waits.push(delays.next(now).unwrap().as_millisecond());
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        assert!(!delays.may_write("a", now));
        assert!(delays.may_write("b", now), "another object is not delayed");
        delays.succeeded("a");
        assert!(delays.may_write("a", now));
    }

    #[test]
    fn an_object_is_stuck_after_three_failures_in_a_row_until_it_is_tried_again() {
        let mut delays = Delays::default();
        let now = Timestamp::UNIX_EPOCH;
        let stuck = |delays: &Delays, now| delays.stuck(now).map(str::to_owned).collect::<Vec<_>>();
        for _ in 0..2 {
            delays.failed("a", now, 1.0);
        }
        delays.failed("b", now, 1.0);
        assert!(stuck(&delays, now).is_empty());
        delays.failed("a", now, 1.0);
        assert_eq!(stuck(&delays, now), ["a"]);
        assert!(stuck(&delays, now + SignedDuration::from_secs(2)).is_empty(), "its time has come");
    }

    #[test]
    fn a_clock_that_is_put_back_makes_no_wait_longer() {
        let mut delays = Delays::default();
        let now = Timestamp::UNIX_EPOCH;
        delays.failed("a", now + SignedDuration::from_hours(1), 1.0);
        assert!(delays.may_write("a", now));
        assert_eq!(delays.next(now), None);
    }

    #[test]
    fn chance_shortens_a_wait_by_at_most_a_half() {
        let mut delays = Delays::default();
        delays.failed("a", Timestamp::UNIX_EPOCH, 0.0);
        assert_eq!(delays.next(Timestamp::UNIX_EPOCH).unwrap().as_millisecond(), 250);
    }
}
