//! Schedules against a model that walks through every minute and knows nothing but a zone's offset at an instant: ten years of
//! zones whose clocks change by an hour, by half an hour, at midnight, four times a year, by a whole day, and never.

#![expect(clippy::unwrap_used, reason = "the model fails as tests do")]

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use api::schedule::{Blackout, Cron, Schedule, Window};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Kolkata",
];
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;
/// The stretch that is walked: a little more than the longest window before it, and days in which to look ahead.
const BEFORE: i64 = 2 * DAY;
const AFTER: i64 = 3 * DAY;

fn second(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Every change of the clocks in ten years, with its zone.
static CHANGES: LazyLock<Vec<(&'static str, i64)>> = LazyLock::new(|| {
    let (from, to) = (second("2010-01-01T00:00:00Z"), second("2020-01-01T00:00:00Z"));
    let mut changes = Vec::new();
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        let all = zone.following(at(from)).map(|change| change.timestamp().as_second());
        changes.extend(all.take_while(|change| *change < to).map(|change| (name, change)));
    }
    changes
});

/// A cron expression as sets. `None` is `*`.
#[derive(Debug, Clone)]
struct Model {
    minutes: Vec<i8>,
    hours: Vec<i8>,
    days: Option<Vec<i8>>,
    months: Option<Vec<i8>>,
    weekdays: Option<Vec<i8>>,
    length: i64,
}

impl Model {
    fn text(&self) -> String {
        let list = |values: &[i8]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let field = |values: &Option<Vec<i8>>| values.as_deref().map_or_else(|| "*".to_owned(), list);
        let (days, months, weekdays) = (field(&self.days), field(&self.months), field(&self.weekdays));
        format!("{} {} {days} {months} {weekdays}", list(&self.minutes), list(&self.hours))
    }

    fn window(&self) -> Window {
        Window { start: Cron::parse(&self.text()).unwrap(), duration: SignedDuration::from_secs(self.length) }
    }

    /// Whether it comes at a local time, given as seconds since 1970 by the clocks on the wall.
    fn comes(&self, local: i64) -> bool {
        let time = Offset::UTC.to_datetime(at(local));
        let is_in = |values: &Option<Vec<i8>>, value: i8| values.as_ref().is_none_or(|values| values.contains(&value));
        let weekday = time.weekday().to_sunday_zero_offset();
        self.minutes.contains(&time.minute())
            && self.hours.contains(&time.hour())
            && is_in(&self.days, time.day())
            && is_in(&self.months, time.month())
            && (is_in(&self.weekdays, weekday) || (weekday == 0 && is_in(&self.weekdays, 7)))
    }

    /// The instants at which it opens.
    fn openings(&self, clock: &[Tick]) -> BTreeSet<i64> {
        let comes = |tick: &&Tick| tick.shows.iter().any(|local| self.comes(*local));
        clock.iter().filter(comes).map(|tick| tick.instant).collect()
    }
}

/// A minute, and the local times that come with it: none while the clocks show again what they have shown, and also those
/// that they skip.
struct Tick {
    instant: i64,
    shows: Vec<i64>,
}

/// Every minute between `from` and `to`.
fn clock(zone: &TimeZone, from: i64, to: i64) -> Vec<Tick> {
    let offset = |instant: i64| i64::from(zone.to_offset(at(instant)).seconds());
    let mut shown = HashSet::new();
    let mut before = offset(from - MINUTE);
    let tick = |instant: i64| {
        let now = offset(instant);
        let mut shows: Vec<i64> = (instant + before..instant + now).step_by(60).collect();
        shows.extend(shown.insert(instant + now).then_some(instant + now));
        before = now;
        Tick { instant, shows }
    };
    (from..to).step_by(60).map(tick).collect()
}

/// What the model says of every minute of a stretch: whether it is open.
fn walk(models: &[Model], blackouts: &[Blackout], zone: &TimeZone, from: i64, to: i64) -> Vec<bool> {
    let mut open = vec![false; usize::try_from((to - from) / MINUTE).unwrap()];
    let index = |instant: i64| usize::try_from((instant - from) / MINUTE).unwrap().min(open.len());
    let mut spans = Vec::new();
    // A day more, for the clocks to have been seen before they go back.
    let clock = clock(zone, from - BEFORE - DAY, to);
    for model in models {
        let openings = model.openings(&clock);
        spans.extend(
            openings
                .into_iter()
                .filter(|opening| opening + model.length > from)
                .map(|opening| (index(opening.max(from)), index(opening + model.length))),
        );
    }
    spans.into_iter().for_each(|(start, end)| open[start..end].fill(true));
    for (minute, open) in open.iter_mut().enumerate() {
        let instant = at(from + i64::try_from(minute).unwrap() * MINUTE);
        *open &= !blackouts.iter().any(|blackout| blackout.start <= instant && instant < blackout.end);
    }
    open
}

/// Holds a schedule against the model, at every `step`th minute from `from` on for a day and a half.
fn compare(models: &[Model], blackouts: &[Blackout], name: &str, from: i64, step: usize) {
    let zone = TimeZone::get(name).unwrap();
    let windows: Vec<_> = models.iter().map(Model::window).collect();
    let schedule = Schedule { zone: zone.clone(), windows, blackouts: blackouts.to_vec() };
    let open = walk(models, blackouts, &zone, from, from + AFTER);
    let instant = |minute: usize| at(from + i64::try_from(minute).unwrap() * MINUTE);
    for minute in (0..open.len() / 2).step_by(step) {
        let now = instant(minute);
        let texts: Vec<_> = models.iter().map(Model::text).collect();
        let context = format!("{name} {texts:?} at {now}");
        assert_eq!(schedule.is_open_at(now), open[minute], "open: {context}");
        // What lies beyond the walk is only known to lie there.
        let within = |found: Option<Timestamp>| found.filter(|found| *found < instant(open.len()));
        let next = (minute..open.len()).find(|minute| open[*minute]).map(instant);
        assert_eq!(within(schedule.next_opening(now)), next, "next opening: {context}");
        let closes = (minute..open.len()).find(|minute| !open[*minute]).filter(|_| open[minute]).map(instant);
        assert_eq!(within(schedule.closes_at(now)), closes, "closes: {context}");
    }
}

fn some_of(most: i8) -> BoxedStrategy<Vec<i8>> {
    let values: Vec<i8> = (0..=most).collect();
    prop_oneof![3 => subsequence(values.clone(), 1..=2), 1 => subsequence(values, 1..=6)].boxed()
}

fn model() -> impl Strategy<Value = Model> {
    let days = subsequence((1..=28).collect::<Vec<i8>>(), 10..=28);
    let months = subsequence((1..=12).collect::<Vec<i8>>(), 6..=12);
    let day_fields = prop_oneof![
        3 => Just((None, None)),
        1 => days.prop_map(|days| (Some(days), None)),
        1 => subsequence((0..=7).collect::<Vec<i8>>(), 1..=7).prop_map(|weekdays| (None, Some(weekdays))),
    ];
    // Near midnight and the small hours, where clocks change.
    let hours = prop_oneof![2 => subsequence(vec![0_i8, 1, 2, 3, 23], 1..=3), 1 => some_of(23)];
    let length = prop_oneof![Just(1), 1..240_i64, Just(24 * 60), Just(48 * 60)];
    (some_of(59), hours, day_fields, proptest::option::weighted(0.2, months), length).prop_map(
        |(minutes, hours, (days, weekdays), months, length)| Model {
            minutes,
            hours,
            days,
            months,
            weekdays,
            length: length * MINUTE,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn schedules_are_those_of_the_model(
        models in proptest::collection::vec(model(), 1..=3),
        change in 0..CHANGES.len(),
        hours_before in 0..40_i64,
        anywhere in proptest::option::weighted(0.2, (second("2010-01-01T00:00:00Z")..second("2020-01-01T00:00:00Z"), select(&ZONES[..]))),
        blackout in proptest::option::weighted(0.3, (-1440..2880_i64, 1..2880_i64)),
    ) {
        let (zone, from) = CHANGES[change];
        let (from, zone) = anywhere.unwrap_or((from - hours_before * 60 * MINUTE, zone));
        let from = from.div_euclid(MINUTE) * MINUTE;
        let blackouts: Vec<_> = blackout
            .map(|(start, length)| Blackout {
                start: at(from + start * MINUTE),
                end: at(from + (start + length) * MINUTE),
                reason: None,
            })
            .into_iter()
            .collect();
        compare(&models, &blackouts, zone, from, 31);
    }
}

#[test]
fn every_change_of_the_clocks_in_ten_years_is_met() {
    assert!(CHANGES.len() > 120, "{}", CHANGES.len());
    let hourly = Model {
        minutes: vec![0, 30],
        hours: (0..24).collect(),
        days: None,
        months: None,
        weekdays: None,
        length: 20 * MINUTE,
    };
    for (zone, change) in CHANGES.iter() {
        // From three hours before the change to three after it, and a day on.
        compare(std::slice::from_ref(&hourly), &[], zone, change - 3 * 60 * MINUTE, 61);
    }
}
