//! How long a failure is waited out before the node is tried again.

use api::shadow::{FailureKind, Observed};
use jiff::{SignedDuration, Timestamp};
use semver::Version;

/// First wait after a drain that did not end, doubled with each further one.
const FIRST_DRAIN_WAIT: SignedDuration = SignedDuration::from_mins(30);
/// Longest wait after a drain that did not end.
const LONGEST_DRAIN_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// Longest wait after a crash, in minutes: the original tries again once more than a day has passed
/// (brupop v1.4.0 `controller/src/statemachine.rs:78-98`).
const LONGEST_CRASH_WAIT_MINUTES: i64 = 1440;

/// When the node may be tried again with `version`, if that is later than `now`. `acknowledged` says that somebody has looked at
/// its failure of that version: the first crash is not waited out then. Those after it are, and so are drains.
///
/// A node that fell back is not waited for either: it runs what was good before, and a newer version has nothing to do with that.
/// The same version is tried again only when somebody has acknowledged.
///
/// A failure whose time lies in the future is a clock that was put back: it is not waited for, or a node could be held for
/// years.
pub(super) fn next_try(
    observed: &Observed,
    version: &Version,
    acknowledged: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    let drain = observed.failure.as_ref().filter(|failure| failure.kind == FailureKind::Drain);
    let drain = drain.map(|failure| (failure.time, drain_wait(failure.attempts)));
    let fallback = observed.failure.as_ref().filter(|failure| failure.kind == FailureKind::Fallback);
    let at_once = fallback.is_some_and(|failure| failure.version != *version || failure.attempts < 2);
    let excused = acknowledged && drain.is_none() && observed.crash_count < 2;
    let crash = observed.failed_at.filter(|_| observed.crash_count > 0 && !at_once && !excused);
    let crash = crash.map(|time| (time, crash_wait(observed.crash_count)));
    [drain, crash]
        .into_iter()
        .flatten()
        .filter(|(failed, _)| *failed <= now)
        .filter_map(|(failed, wait)| failed.checked_add(wait).ok())
        .filter(|next| *next > now)
        .max()
}

fn drain_wait(attempts: u32) -> SignedDuration {
    let doublings = attempts.saturating_sub(1).min(10);
    (FIRST_DRAIN_WAIT * 2_i32.pow(doublings)).min(LONGEST_DRAIN_WAIT)
}

/// The original waits until more than 2^crashes whole minutes have passed: 3 minutes after the first crash, 5 after the
/// second.
fn crash_wait(crashes: u32) -> SignedDuration {
    let minutes = 1_i64 << crashes.min(11);
    SignedDuration::from_mins(minutes.min(LONGEST_CRASH_WAIT_MINUTES) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::State;
    use api::shadow::Failure;
    use proptest::prelude::*;

    fn observed(crash_count: u32, failure: Option<Failure>) -> Observed {
        Observed {
            crash_count,
            failed_at: (crash_count > 0).then_some(Timestamp::UNIX_EPOCH),
            failure,
            ..Observed::new(State::Idle, Version::new(1, 19, 0), Version::new(1, 20, 0))
        }
    }

    fn drain(attempts: u32) -> Option<Failure> {
        let version = Version::new(1, 20, 0);
        Some(Failure { kind: FailureKind::Drain, version, time: Timestamp::UNIX_EPOCH, attempts })
    }

    fn minutes_to_wait(observed: &Observed) -> Option<i64> {
        next_try(observed, &Version::new(1, 20, 0), false, Timestamp::UNIX_EPOCH).map(|next| next.as_second() / 60)
    }

    #[test]
    fn crashes_wait_as_with_the_original() {
        let waits: Vec<_> = [0, 1, 2, 3, 10, 11, 64, u32::MAX].map(|n| minutes_to_wait(&observed(n, None))).to_vec();
        let expected = [None, Some(3), Some(5), Some(9), Some(1025), Some(1441), Some(1441), Some(1441)];
        assert_eq!(waits, expected);
    }

    #[test]
    fn drains_wait_half_an_hour_and_at_most_a_day() {
        let waits: Vec<_> = [1, 2, 3, 6, 7, u32::MAX].map(|n| minutes_to_wait(&observed(0, drain(n)))).to_vec();
        assert_eq!(waits, [Some(30), Some(60), Some(120), Some(960), Some(1440), Some(1440)]);
    }

    #[test]
    fn a_fallback_is_not_waited_out_for_the_sake_of_a_newer_version() {
        let failure = |kind| drain(1).map(|failure| Failure { kind, ..failure });
        assert_eq!(minutes_to_wait(&observed(1, failure(FailureKind::Fallback))), None);
        for kind in [FailureKind::Stage, FailureKind::Activate] {
            assert_eq!(minutes_to_wait(&observed(1, failure(kind))), Some(3), "{kind:?}");
        }
    }

    #[test]
    fn a_version_that_was_acknowledged_is_tried_at_once_and_not_again_and_again() {
        let fallback = |attempts| drain(attempts).map(|failure| Failure { kind: FailureKind::Fallback, ..failure });
        assert_eq!(minutes_to_wait(&observed(1, fallback(1))), None);
        assert_eq!(minutes_to_wait(&observed(2, fallback(2))), Some(5));
    }

    #[test]
    fn the_first_crash_is_not_waited_out_once_it_is_acknowledged() {
        let waits =
            |observed: &Observed| next_try(observed, &Version::new(1, 20, 0), true, Timestamp::UNIX_EPOCH).is_some();
        assert!(!waits(&observed(1, None)));
        assert!(waits(&observed(2, None)), "the second is");
        assert!(waits(&observed(0, drain(1))) && waits(&observed(1, drain(1))), "and a drain");
    }

    #[test]
    fn a_failure_from_the_future_is_not_waited_for() {
        let mut observed = observed(3, None);
        observed.failed_at = Some("2999-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(minutes_to_wait(&observed), None);
    }

    proptest! {
        #[test]
        fn every_wait_ends_within_a_day_and_a_minute(crashes: u32, attempts: u32) {
            let observed = observed(crashes, drain(attempts));
            prop_assert!(minutes_to_wait(&observed).is_none_or(|minutes| minutes <= 1441));
        }
    }
}
