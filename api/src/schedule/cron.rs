//! Cron expressions with the meaning that crontab(5) gives them.
//!
//! The `cron` crate parses the fields; it has the weekdays of Quartz (1 is Sunday), wants seconds, and takes forms that
//! crontab does not have. So the weekdays are translated to names first, and what crontab does not have is refused.

use std::str::FromStr as _;

use ::cron::Schedule as Fields;
use jiff::civil::{Date, DateTime, Weekday, date};
use thiserror::Error;

/// The form that the CRD's schema asks for: five fields of digits, letters and `* , - /`.
pub const PATTERN: &str = r"^[ ]*[0-9*,/-]+[ ]+[0-9*,/-]+[ ]+[0-9*,/-]+[ ]+[0-9A-Za-z*,/-]+[ ]+[0-9A-Za-z*,/-]+[ ]*$";
/// The second rule of the CRD's schema: one of the day fields is `*`.
pub const ONE_DAY_FIELD: &str = r"^[ ]*[^ ]+[ ]+[^ ]+[ ]+(\*[ ]+[^ ]+[ ]+[^ ]+|[^ ]+[ ]+[^ ]+[ ]+\*)[ ]*$";

/// Why a text is no cron expression that can be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidCron {
    /// Not five fields, or characters that no field has.
    #[error(
        "{0:?} is not a cron expression: write five fields, for example \"0 2 * * 1-5\" (minute, hour, day of month, month, weekday)"
    )]
    Syntax(String),
    /// One field cannot be read or is out of its range.
    #[error(
        "{text:?} is not a cron expression: {field} {value:?} is not {range}, a list or range of those, or \"*\", with a step such as \"/2\" only after a range or \"*\""
    )]
    Field {
        /// The expression.
        text: String,
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        range: &'static str,
    },
    /// Day of month and weekday are both restricted: crontab then takes the days that match either, which next to nobody
    /// expects.
    #[error("{0:?} restricts both the day of month and the weekday: leave one of them \"*\", or write two windows")]
    BothDays(String),
    /// No date matches, such as 30 February.
    #[error("{0:?} never comes: no month it names has such a day")]
    Never(String),
}

/// A cron expression of five fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// Sorted minutes of a matching hour.
    minutes: Vec<i8>,
    /// Sorted hours of a matching day.
    hours: Vec<i8>,
    /// Bit `n` is day `n` of the month.
    days: u32,
    /// Bit `n` is month `n`.
    months: u16,
    /// Bit `n` is the weekday `n` days after Sunday.
    weekdays: u8,
}

/// 29 February comes within eight years.
const MONTHS_IN_SIGHT: usize = 8 * 12;

fn date_of(month: Date, day: i8) -> Option<Date> {
    Date::new(month.year(), month.month(), day).ok()
}

/// A field's name, what it may say, and its range.
const FIELDS: [(&str, &str); 5] = [
    ("the minute", "a number from 0 to 59"),
    ("the hour", "a number from 0 to 23"),
    ("the day of month", "a number from 1 to 31"),
    ("the month", "a number from 1 to 12 or a name from jan to dec"),
    ("the weekday", "a number from 0 to 7 (0 and 7 are Sunday) or a name from sun to sat"),
];

impl Cron {
    /// Reads five fields.
    ///
    /// # Errors
    /// [`InvalidCron`] names the expression and what would be right.
    pub fn parse(text: &str) -> Result<Self, InvalidCron> {
        let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return Err(InvalidCron::Syntax(text.to_owned())) };
        if text.chars().any(|c| !(c.is_ascii_alphanumeric() || " *,-/".contains(c))) {
            return Err(InvalidCron::Syntax(text.to_owned()));
        }
        let wrong = |index: usize, value: &str| {
            let (field, range) = FIELDS[index];
            InvalidCron::Field { text: text.to_owned(), field, value: value.to_owned(), range }
        };
        for (index, field) in fields.iter().enumerate() {
            if field.split(',').any(|item| !is_item(item)) {
                return Err(wrong(index, field));
            }
        }
        let named = weekdays(weekday).ok_or_else(|| wrong(4, weekday))?;
        let alone = |index: usize, field: &str| {
            let mut all = ["0", "0", "*", "*"].map(str::to_owned);
            all[index] = field.to_owned();
            Fields::from_str(&format!("0 {} *", all.join(" "))).map_err(|_| wrong(index, field))
        };
        let expression = Self {
            minutes: small(alone(0, minute)?.minutes()),
            hours: small(alone(1, hour)?.hours()),
            days: bits(alone(2, day)?.days_of_month()),
            months: u16::try_from(bits(alone(3, month)?.months())).unwrap_or_default(),
            weekdays: named,
        };
        if day != "*" && weekday != "*" {
            return Err(InvalidCron::BothDays(text.to_owned()));
        }
        if expression.comes_at_all() { Ok(expression) } else { Err(InvalidCron::Never(text.to_owned())) }
    }

    /// Whether some date matches, over a leap year and three others.
    fn comes_at_all(&self) -> bool {
        self.next_day(date(2000, 1, 1)).is_some()
    }

    /// The first day from `from` on that it comes on. It looks eight years ahead, which is how far 29 February may be away, month
    /// by month: at most 97 months and the days of eight.
    #[must_use]
    pub fn next_day(&self, from: Date) -> Option<Date> {
        let mut first = from;
        for _ in 0..=MONTHS_IN_SIGHT {
            if self.months & (1 << first.month()) != 0 {
                let days = first.day()..=first.days_in_month();
                let found = days.filter_map(|day| date_of(first, day)).find(|day| self.matches_day(*day));
                if found.is_some() {
                    return found;
                }
            }
            first = first.last_of_month().tomorrow().ok()?;
        }
        None
    }

    /// Whether it comes on `day`.
    #[must_use]
    pub fn matches_day(&self, day: Date) -> bool {
        let days_after_sunday = day.weekday().since(Weekday::Sunday);
        self.days & (1 << day.day()) != 0
            && self.months & (1 << day.month()) != 0
            && self.weekdays & (1 << days_after_sunday) != 0
    }

    /// Of the times at which it comes on `day`, those that are `past`, which no time is after one that is not: the last of them, and
    /// the first of the others. A day has 1,440 times at most, of which eleven are looked at.
    pub fn around(&self, day: Date, past: impl Fn(DateTime) -> bool) -> (Option<DateTime>, Option<DateTime>) {
        let per_hour = self.minutes.len();
        let all = if self.matches_day(day) { self.hours.len() * per_hour } else { 0 };
        let time = |index: usize| {
            let (hour, minute) = (self.hours.get(index / per_hour)?, self.minutes.get(index % per_hour)?);
            Some(day.at(*hour, *minute, 0, 0))
        };
        let (mut low, mut high) = (0, all);
        while low < high {
            let middle = usize::midpoint(low, high);
            if time(middle).is_some_and(&past) { low = middle + 1 } else { high = middle }
        }
        (low.checked_sub(1).and_then(time), if low < all { time(low) } else { None })
    }
}

/// `*`, `a`, `a-b`, and with a step `*/n` and `a-b/n`.
fn is_item(item: &str) -> bool {
    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
    let bound = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
    let (is_range, well_formed) = match range.split_once('-') {
        _ if range == "*" => (true, true),
        Some((from, to)) => (true, bound(from) && bound(to)),
        None => (false, bound(range)),
    };
    let steps = step.is_none_or(|step| is_range && step.parse::<u8>().is_ok_and(|step| step > 0));
    well_formed && steps && !item.contains('+')
}

/// The weekdays of crontab as bits.
fn weekdays(field: &str) -> Option<u8> {
    field.split(',').try_fold(0, |all, item| Some(all | weekday_item(item)?))
}

fn weekday_item(item: &str) -> Option<u8> {
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let step: usize = step.parse().ok().filter(|step| (1..=7).contains(step))?;
    let (from, to) = match range.split_once('-') {
        _ if range == "*" => (0, 6),
        Some((from, to)) => (weekday(from)?, weekday(to).map(|to| if to == 0 { 7 } else { to })?),
        None => (weekday(range)?, weekday(range)?),
    };
    (from <= to).then(|| (from..=to).step_by(step).fold(0, |all, day| all | 1 << (day % 7)))
}

fn weekday(text: &str) -> Option<u8> {
    const NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let name = NAMES.iter().position(|name| text.eq_ignore_ascii_case(name));
    let number = || text.parse::<u8>().ok().filter(|number| *number <= 7);
    name.and_then(|index| u8::try_from(index).ok()).or_else(number)
}

fn small(unit: &impl ::cron::TimeUnitSpec) -> Vec<i8> {
    unit.iter().filter_map(|value| i8::try_from(value).ok()).collect()
}

fn bits(unit: &impl ::cron::TimeUnitSpec) -> u32 {
    unit.iter().fold(0, |all, value| all | 1_u32.checked_shl(value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str, month: i8) -> Vec<i8> {
        let cron = Cron::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let first = date(2026, month, 1);
        let days = (1..=first.days_in_month()).map(|day| date(2026, month, day));
        days.filter(|day| cron.matches_day(*day)).map(Date::day).collect()
    }

    #[test]
    fn weekdays_are_crontabs() {
        // March 2026 begins on a Sunday.
        let sundays = [1, 8, 15, 22, 29];
        for text in ["0", "7", "sun", "SUN", "0,7", "7-7"] {
            assert_eq!(days(&format!("0 2 * * {text}"), 3), sundays, "{text}");
        }
        assert_eq!(days("0 2 * * 1-5", 3)[..6], [2, 3, 4, 5, 6, 9]);
        assert_eq!(days("0 2 * * mon-fri", 3), days("0 2 * * 1-5", 3));
        assert_eq!(days("0 2 * * sat-sun", 3), days("0 2 * * 6,0", 3));
        assert_eq!(days("0 2 * * 6-7", 3), days("0 2 * * 6,0", 3));
        assert_eq!(days("0 2 * * */2", 3), days("0 2 * * 0,2,4,6", 3));
        assert_eq!(days("0 2 * * 1-5/2", 3), days("0 2 * * 1,3,5", 3));
        assert_eq!(days("0 2 * * 0-7", 3).len(), 31);
    }

    /// Every time on a day, by the way that schedules find them.
    fn times(cron: &Cron, day: Date) -> Vec<DateTime> {
        let begin = cron.around(day, |_| false).1;
        let after = |time: &DateTime| cron.around(day, |other| other <= *time).1;
        std::iter::successors(begin, after).collect()
    }

    #[test]
    fn a_day_is_found_month_by_month() {
        let next = |text: &str, from: Date| Cron::parse(text).unwrap().next_day(from);
        assert_eq!(next("0 2 29 2 *", date(2096, 3, 1)), Some(date(2104, 2, 29)));
        assert_eq!(next("0 2 31 * *", date(2026, 2, 1)), Some(date(2026, 3, 31)));
        assert_eq!(next("0 2 * * mon", date(2026, 2, 28)), Some(date(2026, 3, 2)));
        assert_eq!(next("0 2 * jan *", date(2026, 1, 31)), Some(date(2026, 1, 31)));
        assert_eq!(next("0 2 * jan *", date(2026, 2, 1)), Some(date(2027, 1, 1)));
        assert_eq!(next("0 2 * jan *", date(9999, 12, 31)), None);
    }

    #[test]
    fn the_other_fields_have_lists_ranges_steps_and_names() {
        let cron = Cron::parse("*/20 1-3,22 1,15 jan-mar,12 *").unwrap();
        let all: Vec<_> = times(&cron, date(2026, 2, 15)).iter().map(|time| (time.hour(), time.minute())).collect();
        assert_eq!(all.len(), 12);
        assert_eq!((all[0], all[4], all[11]), ((1, 0), (2, 20), (22, 40)));
        assert_eq!(times(&cron, date(2026, 4, 15)).len(), 0);
        assert_eq!(times(&cron, date(2026, 2, 16)).len(), 0);
        assert_eq!(times(&cron, date(2026, 12, 1)).len(), 12);
    }

    #[test]
    fn what_is_not_a_crontab_line_is_refused() {
        for text in ["", "@daily", "0 2 * *", "0 0 2 * * *", "0 2 * * ?", "0\t2 * * *", "0 2 L * *", "0 2 * * 1#2"] {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
        let fields = [
            ("60 2 * * *", "the minute"),
            ("5/15 2 * * *", "the minute"),
            ("*/0 2 * * *", "the minute"),
            ("0 24 * * *", "the hour"),
            ("0 5-2 * * *", "the hour"),
            ("0 2 0 * *", "the day of month"),
            ("0 2 32 * *", "the day of month"),
            ("0 2 * 13 *", "the month"),
            ("0 2 * foo *", "the month"),
            ("0 2 * * 8", "the weekday"),
            ("0 2 * * 5-1", "the weekday"),
            ("0 2 * * mon/2", "the weekday"),
            ("0 2 * * ,", "the weekday"),
        ];
        for (text, field) in fields {
            let error = Cron::parse(text).unwrap_err();
            assert!(matches!(&error, InvalidCron::Field { field: named, .. } if *named == field), "{text}: {error}");
        }
    }

    #[test]
    fn both_day_fields_restricted_is_refused() {
        for text in ["0 2 1 * 1", "0 2 */2 * 1", "0 2 1-7 * sun"] {
            assert_eq!(Cron::parse(text), Err(InvalidCron::BothDays(text.to_owned())));
        }
    }

    #[test]
    fn a_day_that_no_month_has_is_refused() {
        for text in ["0 2 30 2 *", "0 2 31 4,6,9,11 *", "0 2 30-31 feb *"] {
            assert_eq!(Cron::parse(text), Err(InvalidCron::Never(text.to_owned())));
        }
        for text in ["0 2 29 2 *", "0 2 31 * *", "0 2 31 1,2 *"] {
            assert!(Cron::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_schemas_patterns_agree_with_the_parser() {
        let form = regex::Regex::new(PATTERN).unwrap();
        let one = regex::Regex::new(ONE_DAY_FIELD).unwrap();
        for text in ["0 2 * * 1-5", " 0  2 1 * * ", "*/5 1,2 * jan mon", "0 2 * * *"] {
            assert!(form.is_match(text) && one.is_match(text) && Cron::parse(text).is_ok(), "{text}");
        }
        assert!(!one.is_match("0 2 1 * 1") && !one.is_match("0 2 */2 * 1"));
    }
}
