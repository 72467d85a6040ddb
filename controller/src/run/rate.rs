//! How often a policy's status is written: in a large rollout something about it changes many times a second.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// Least time between two writes of one status.
const LEAST: SignedDuration = SignedDuration::from_secs(1);

/// When each status was written last.
#[derive(Debug, Default)]
pub(super) struct StatusRate {
    written: BTreeMap<String, Timestamp>,
    waiting: Option<Timestamp>,
}

impl StatusRate {
    /// Begins a round: nobody waits, and policies that are gone are forgotten.
    pub(super) fn begin(&mut self, exists: impl Fn(&str) -> bool) {
        self.waiting = None;
        self.written.retain(|policy, _| exists(policy));
    }

    /// Whether the policy's status may be written at `now`; if not, it waits. A clock that was put back holds nothing up.
    pub(super) fn may_write(&mut self, policy: &str, now: Timestamp) -> bool {
        let next = self.written.get(policy).filter(|last| **last <= now).and_then(|last| last.checked_add(LEAST).ok());
        match next.filter(|next| *next > now) {
            Some(next) => {
                self.waiting = Some(self.waiting.map_or(next, |earlier| earlier.min(next)));
                false
            }
            None => {
                self.written.insert(policy.to_owned(), now);
                true
            }
        }
    }

    /// When the first that waits may be written.
    pub(super) const fn next(&self) -> Option<Timestamp> {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    #[test]
    fn a_status_is_written_at_once_and_then_once_a_second() {
        let mut rate = StatusRate::default();
        assert!(rate.may_write("a", at(10_000)));
        assert!(!rate.may_write("a", at(10_999)));
        assert_eq!(rate.next(), Some(at(11_000)));
        assert!(rate.may_write("b", at(10_999)), "another policy does not wait");
        rate.begin(|_| true);
        assert_eq!(rate.next(), None);
        assert!(rate.may_write("a", at(11_000)));
    }

    #[test]
    fn a_clock_that_goes_back_holds_nothing_up() {
        let mut rate = StatusRate::default();
        assert!(rate.may_write("a", at(10_000)));
        assert!(rate.may_write("a", at(5_000)));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut rate = StatusRate::default();
        rate.may_write("a", at(10_000));
        rate.begin(|_| false);
        assert!(rate.may_write("a", at(10_001)));
    }
}
