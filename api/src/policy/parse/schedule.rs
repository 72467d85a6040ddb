//! When a disruption may begin.

use jiff::tz::TimeZone;

use crate::policy::fault::{Fault, Findings};
use crate::policy::{Blackout as RawBlackout, Schedule as RawSchedule, Window as RawWindow};
use crate::schedule::{Blackout, Cron, LONGEST, Schedule, Window};
use crate::{duration, timestamp};

pub(super) fn read(raw: &RawSchedule, findings: &mut Findings) -> Option<Schedule> {
    let zone = raw.time_zone.as_deref().map_or(Ok(TimeZone::UTC), time_zone);
    let zone = findings.take("spec.schedule.timeZone", zone);
    let windows: Vec<_> = raw.windows.iter().enumerate().map(|(index, raw)| window(raw, index, findings)).collect();
    let blackouts: Vec<_> =
        raw.blackouts.iter().enumerate().map(|(index, raw)| blackout(raw, index, findings)).collect();
    Some(Schedule {
        zone: zone?,
        windows: windows.into_iter().collect::<Option<_>>()?,
        blackouts: blackouts.into_iter().collect::<Option<_>>()?,
    })
}

fn time_zone(name: &str) -> Result<TimeZone, Fault> {
    TimeZone::get(name).map_err(|_| Fault::TimeZone(name.to_owned()))
}

fn window(raw: &RawWindow, index: usize, findings: &mut Findings) -> Option<Window> {
    let field = format!("spec.schedule.windows[{index}]");
    let start = findings.take(format!("{field}.start"), Cron::parse(&raw.start));
    let length = duration::parse(&raw.duration)
        .map_err(Fault::from)
        .and_then(|length| if length > LONGEST { Err(Fault::LongWindow(raw.duration.clone())) } else { Ok(length) });
    let duration = findings.take(format!("{field}.duration"), length);
    Some(Window { start: start?, duration: duration? })
}

fn blackout(raw: &RawBlackout, index: usize, findings: &mut Findings) -> Option<Blackout> {
    let field = format!("spec.schedule.blackouts[{index}]");
    let mut time = |name: &str, text: &str| {
        let time = timestamp::parse_strictly(text).map_err(|_| Fault::Time(text.to_owned()));
        findings.take(format!("{field}.{name}"), time)
    };
    let (start, end) = (time("start", &raw.start), time("end", &raw.end));
    let (start, end) = (start?, end?);
    if end <= start {
        findings.add(format!("{field}.end"), Fault::EndsBeforeStart(raw.end.clone()));
        return None;
    }
    Some(Blackout { start, end, reason: raw.reason.clone() })
}
