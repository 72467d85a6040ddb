//! A stretch of time that comes again and again, resolved to instants.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

use super::cron::Cron;

/// Longest time for which one window stays open.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);
/// More than clocks are ever put back by, the date line aside: a time up to this much later by the clock may have come before.
const FOLD: SignedDuration = SignedDuration::from_hours(3);
/// Days on which the next opening is looked for: on the first of them it may have come already, by clocks that were put forward
/// across midnight or over a whole day on the second as well.
const DAYS: usize = 4;

/// A window: it opens when the cron expression comes by the clocks of a time zone, and stays open for a time that no clock
/// change alters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// When it opens.
    pub start: Cron,
    /// How long it stays open; more than zero, at most [`LONGEST`].
    pub duration: SignedDuration,
}

impl Window {
    /// The latest opening at or before `now`, if it was no longer ago than the window stays open: whether and since when the
    /// window is open.
    #[must_use]
    pub fn open_since(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let begin = now.checked_sub(self.duration).ok()?;
        // A clock change moves an opening to another day in zones that skip one.
        let first = zone.to_datetime(begin).date().checked_sub(Span::new().days(2)).ok()?;
        // Also tomorrow, whose first minutes have come already where clocks are put back across midnight.
        let by_the_clock = zone.to_datetime(now).checked_add(FOLD).ok()?;
        let mut day = Some(by_the_clock.date());
        while let Some(date) = day.filter(|date| *date >= first) {
            // Later times never come at earlier instants, so that of those that have come the last is the latest.
            let (last, _) = self.start.around(date, |time| instant(time, zone).is_some_and(|opening| opening <= now));
            if let Some(latest) = last.and_then(|time| instant(time, zone)) {
                return (latest > begin).then_some(latest);
            }
            day = date.yesterday().ok();
        }
        None
    }

    /// The first opening after `now`.
    #[must_use]
    pub fn next_opening(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = zone.to_datetime(now).date();
        // Yesterday as well: a day that the zone skips opens after it.
        let first = today.yesterday().unwrap_or(today);
        let days = std::iter::successors(self.start.next_day(first), |day| self.start.next_day(day.tomorrow().ok()?));
        days.take(DAYS).find_map(|day| self.first_after(day, now, zone))
    }

    fn first_after(&self, day: Date, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let (_, next) = self.start.around(day, |time| instant(time, zone).is_some_and(|opening| opening <= now));
        next.and_then(|time| instant(time, zone))
    }
}

/// The instant at which the clocks of `zone` show `time`. Where they skip it, the first instant after the gap; where they show
/// it twice, the first of the two.
#[must_use]
pub fn instant(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
        AmbiguousOffset::Gap { before, .. } => {
            // By the offset before it, a time in the gap lies at or after the transition.
            let inside = before.to_timestamp(time).ok()?.checked_add(SignedDuration::from_nanos(1)).ok()?;
            zone.preceding(inside).next().map(|transition| transition.timestamp())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn window(start: &str, hours: i64) -> Window {
        Window { start: Cron::parse(start).unwrap(), duration: SignedDuration::from_hours(hours) }
    }

    #[test]
    fn a_time_that_the_clocks_skip_comes_at_the_end_of_the_gap() {
        let berlin = zone("Europe/Berlin");
        for minute in [0, 1, 30, 59] {
            let skipped = instant(date(2026, 3, 29).at(2, minute, 0, 0), &berlin);
            assert_eq!(skipped, Some(at("2026-03-29T01:00:00Z")), "02:{minute}");
        }
        assert_eq!(instant(date(2026, 3, 29).at(1, 59, 0, 0), &berlin), Some(at("2026-03-29T00:59:00Z")));
        assert_eq!(instant(date(2026, 3, 29).at(3, 0, 0, 0), &berlin), Some(at("2026-03-29T01:00:00Z")));
    }

    #[test]
    fn a_time_that_the_clocks_show_twice_comes_once_and_first() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(instant(date(2026, 10, 25).at(2, 30, 0, 0), &berlin), Some(at("2026-10-25T00:30:00Z")));
        let window = window("30 2 * * *", 1);
        let opening = window.next_opening(at("2026-10-24T12:00:00Z"), &berlin).unwrap();
        assert_eq!(opening, at("2026-10-25T00:30:00Z"));
        assert_eq!(window.next_opening(opening, &berlin), Some(at("2026-10-26T01:30:00Z")));
        assert_eq!(window.open_since(at("2026-10-25T01:30:00Z"), &berlin), None, "the second 02:30 does not open");
    }

    #[test]
    fn a_day_that_a_zone_skips_opens_at_the_next() {
        // Samoa went from 29 to 31 December 2011.
        let apia = zone("Pacific/Apia");
        let window = window("0 12 30 12 *", 2);
        assert_eq!(window.next_opening(at("2011-12-29T00:00:00Z"), &apia), Some(at("2011-12-30T10:00:00Z")));
        assert_eq!(window.open_since(at("2011-12-30T11:00:00Z"), &apia), Some(at("2011-12-30T10:00:00Z")));
        assert_eq!(window.open_since(at("2011-12-30T12:00:00Z"), &apia), None);
    }

    #[test]
    fn clocks_that_go_back_across_midnight_do_not_close_a_window() {
        // At 00:01 on 7 November 2010 it became 23:01 on the 6th.
        let newfoundland = zone("America/St_Johns");
        let window = window("0 0 * * *", 1);
        assert_eq!(window.open_since(at("2010-11-07T02:34:00Z"), &newfoundland), Some(at("2010-11-07T02:30:00Z")));
        assert_eq!(window.next_opening(at("2010-11-07T02:34:00Z"), &newfoundland), Some(at("2010-11-08T03:30:00Z")));
    }

    #[test]
    fn a_leap_day_is_in_sight() {
        let window = window("0 0 29 2 *", 1);
        let utc = TimeZone::UTC;
        assert_eq!(window.next_opening(at("2096-03-01T00:00:00Z"), &utc), Some(at("2104-02-29T00:00:00Z")));
    }

    #[test]
    fn a_clock_change_does_not_alter_how_long_it_is_open() {
        let berlin = zone("Europe/Berlin");
        let window = window("0 1 * * *", 4);
        let opening = at("2026-03-29T00:00:00Z");
        assert_eq!(window.open_since(at("2026-03-29T03:59:59Z"), &berlin), Some(opening));
        assert_eq!(window.open_since(at("2026-03-29T04:00:00Z"), &berlin), None);
    }
}
