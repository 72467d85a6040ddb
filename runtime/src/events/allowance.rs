//! How many Events may be written now.

use jiff::Timestamp;

/// Events that may be written at once.
const BURST: u32 = 50;
/// Seconds until one more may be.
const SECONDS_EACH: i64 = 1;

/// How many Events may be written now.
#[derive(Debug)]
pub struct Allowance {
    left: u32,
    since: Timestamp,
}

impl Allowance {
    /// A full one.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { left: BURST, since: now }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let earned = now.duration_since(self.since).as_secs().max(0) / SECONDS_EACH;
        if earned > 0 || now < self.since {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            self.since = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_thousand_starts_at_once_are_fifty_events_and_one_more_each_second() {
        let mut allowance = Allowance::new(at(100));
        assert_eq!((0..1000).filter(|_| allowance.take(at(100))).count(), 50);
        assert!(allowance.take(at(101)));
        assert!(!allowance.take(at(101)));
        assert_eq!((0..1000).filter(|_| allowance.take(at(10_000))).count(), 50);
    }

    #[test]
    fn a_clock_that_goes_back_neither_gives_nor_takes_for_ever() {
        let mut allowance = Allowance::new(at(1000));
        while allowance.take(at(1000)) {}
        assert!(!allowance.take(at(10)));
        assert!(allowance.take(at(11)));
    }
}
