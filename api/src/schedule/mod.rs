//! When a disruption may begin: inside a window and outside every blackout.
//!
//! ```text
//! text -cron::parse-> Cron -window-> openings as instants of a time zone -> Schedule: is it open, until when, from when
//! ```

pub mod cron;
mod window;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use cron::{Cron, InvalidCron};
pub use window::{LONGEST, Window, instant};

/// Openings that [`Schedule::closes_at`] joins before it gives up; at one a minute these are more than four hours.
const JOINED: usize = 256;
/// How far it looks: twice the longest window.
const AHEAD: SignedDuration = SignedDuration::from_hours(62 * 24);
/// How far ahead an opening is looked for: a February with 29 days comes within eight years.
const IN_SIGHT: SignedDuration = SignedDuration::from_hours(8 * 366 * 24);

/// When a disruption may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Whose clocks the windows go by.
    pub zone: TimeZone,
    /// Without any it is open unless a blackout closes it.
    pub windows: Vec<Window>,
    /// Closed inside any of these.
    pub blackouts: Vec<Blackout>,
}

/// A stretch of time in which nothing begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// What people are told.
    pub reason: Option<String>,
}

impl Default for Schedule {
    /// Always open.
    fn default() -> Self {
        Self { zone: TimeZone::UTC, windows: Vec::new(), blackouts: Vec::new() }
    }
}

impl Schedule {
    /// Whether a disruption may begin at `now`.
    #[must_use]
    pub fn is_open_at(&self, now: Timestamp) -> bool {
        self.blackout_at(now).is_none() && self.in_window(now)
    }

    /// The blackout that closes it at `now`; of several the one that ends last.
    #[must_use]
    pub fn blackout_at(&self, now: Timestamp) -> Option<&Blackout> {
        self.blackouts.iter().filter(|blackout| blackout.start <= now && now < blackout.end).max_by_key(|b| b.end)
    }

    /// The first instant after `now` at which it is closed, where it is open at `now`. `None` where it is closed already, and
    /// where its closing is not in sight: 62 days or 256 openings that join ahead, at least four hours in any case.
    #[must_use]
    pub fn closes_at(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.is_open_at(now) {
            return None;
        }
        let blackouts = self.blackouts.iter().map(|blackout| blackout.start).filter(|start| *start > now);
        let blackout = blackouts.min();
        [self.windows_end(now, blackout), blackout].into_iter().flatten().min()
    }

    /// The first instant at or after `now` at which it is open; `None` when there is none in sight, which is eight years.
    #[must_use]
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        let mut at = now;
        // Every round but the last leaves a blackout for good or enters one.
        for _ in 0..=2 * self.blackouts.len() + 1 {
            if let Some(blackout) = self.blackout_at(at) {
                at = blackout.end;
            } else if self.in_window(at) {
                return Some(at).filter(|at| at.duration_since(now) <= IN_SIGHT);
            } else {
                at = self.windows.iter().filter_map(|window| window.next_opening(at, &self.zone)).min()?;
            }
        }
        None
    }

    fn in_window(&self, now: Timestamp) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|window| window.open_since(now, &self.zone).is_some())
    }

    /// When the windows that are open at `now`, and those that open before they close, have closed. `None` when not in sight
    /// or later than `enough`.
    fn windows_end(&self, now: Timestamp, enough: Option<Timestamp>) -> Option<Timestamp> {
        let mut end = now;
        let sight = now.checked_add(AHEAD).ok()?;
        for _ in 0..JOINED {
            if end > sight {
                return None;
            }
            let open = self.windows.iter().filter_map(|window| {
                let since = window.open_since(end, &self.zone)?;
                since.checked_add(window.duration).ok()
            });
            match open.max() {
                _ if enough.is_some_and(|enough| end >= enough) => return None,
                Some(later) if later > end => end = later,
                _ => return (end > now).then_some(end),
            }
        }
        None
    }

    /// The length of the shortest window; `None` when it has none.
    #[must_use]
    pub fn shortest_window(&self) -> Option<SignedDuration> {
        self.windows.iter().map(|window| window.duration).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(windows: &[(&str, i64)], blackouts: &[(&str, &str)]) -> Schedule {
        let windows = windows.iter().map(|(start, minutes)| Window {
            start: Cron::parse(start).unwrap(),
            duration: SignedDuration::from_mins(*minutes),
        });
        let blackouts =
            blackouts.iter().map(|(start, end)| Blackout { start: at(start), end: at(end), reason: None }).collect();
        Schedule { zone: TimeZone::UTC, windows: windows.collect(), blackouts }
    }

    #[test]
    fn without_windows_it_is_open_until_a_blackout() {
        let always = Schedule::default();
        let now = at("2026-11-24T12:00:00Z");
        assert!(always.is_open_at(now));
        assert_eq!((always.closes_at(now), always.next_opening(now)), (None, Some(now)));
        let frozen = schedule(&[], &[("2026-12-20T00:00:00Z", "2027-01-02T00:00:00Z")]);
        assert_eq!(frozen.closes_at(now), Some(at("2026-12-20T00:00:00Z")));
        assert_eq!(frozen.next_opening(at("2026-12-24T00:00:00Z")), Some(at("2027-01-02T00:00:00Z")));
    }

    #[test]
    fn an_opening_that_is_not_in_sight_is_none() {
        let frozen = schedule(&[], &[("2026-12-20T00:00:00Z", "2034-12-20T00:00:00Z")]);
        assert_eq!(frozen.next_opening(at("2026-12-24T00:00:00Z")), Some(at("2034-12-20T00:00:00Z")));
        let until_further_notice = schedule(&[("0 2 * * *", 120)], &[("2026-12-20T00:00:00Z", "2099-12-31T00:00:00Z")]);
        assert_eq!(until_further_notice.next_opening(at("2026-12-24T00:00:00Z")), None);
    }

    #[test]
    fn it_is_open_from_the_first_instant_of_a_window_to_the_last_before_its_end() {
        let nights = schedule(&[("0 2 * * *", 120)], &[]);
        assert!(!nights.is_open_at(at("2026-11-24T01:59:59.999Z")));
        assert!(nights.is_open_at(at("2026-11-24T02:00:00Z")));
        assert!(nights.is_open_at(at("2026-11-24T03:59:59.999Z")));
        assert!(!nights.is_open_at(at("2026-11-24T04:00:00Z")));
        assert_eq!(nights.closes_at(at("2026-11-24T02:30:00Z")), Some(at("2026-11-24T04:00:00Z")));
        assert_eq!(nights.closes_at(at("2026-11-24T04:00:00Z")), None);
        assert_eq!(nights.next_opening(at("2026-11-24T04:00:00Z")), Some(at("2026-11-25T02:00:00Z")));
    }

    #[test]
    fn windows_that_touch_close_as_one() {
        let joined = schedule(&[("0 2 * * *", 120), ("0 4 * * *", 60), ("30 4 * * *", 60)], &[]);
        assert_eq!(joined.closes_at(at("2026-11-24T02:00:00Z")), Some(at("2026-11-24T05:30:00Z")));
        let whole_days = schedule(&[("0 0 * * *", 24 * 60)], &[]);
        assert_eq!(whole_days.closes_at(at("2026-11-24T02:00:00Z")), None);
        let every_minute = schedule(&[("* * * * *", 1)], &[("2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z")]);
        assert_eq!(every_minute.closes_at(at("2026-11-24T02:00:00Z")), Some(at("2026-11-25T00:00:00Z")));
    }

    #[test]
    fn a_blackout_cuts_a_window_and_delays_the_next() {
        let cut = schedule(
            &[("0 2 * * *", 240)],
            &[("2026-11-24T03:00:00Z", "2026-11-24T05:00:00Z"), ("2026-11-24T04:00:00Z", "2026-11-25T12:00:00Z")],
        );
        assert_eq!(cut.closes_at(at("2026-11-24T02:00:00Z")), Some(at("2026-11-24T03:00:00Z")));
        assert_eq!(cut.next_opening(at("2026-11-24T03:30:00Z")), Some(at("2026-11-26T02:00:00Z")));
    }
}
