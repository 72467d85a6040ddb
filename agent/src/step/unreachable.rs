//! A host that gives no answer: waited for, and told of when it takes longer than a restart of its API server.

use std::time::Duration;

use api::Shadow;
use api::shadow::{BottlerocketShadowStatus, Observed};

use super::action::{Action, Reason, Step};
use super::status;
use super::view::rebooting;
use crate::observe::Observation;

/// How long a host may be silent before the shadow says so. Its API server is restarted within five seconds.
const UNMENTIONED: Duration = Duration::from_secs(15);

pub(super) fn unreachable(o: &Observation, shadow: &Shadow, why: &str) -> Step {
    let absence = o.memory.away.as_ref();
    let long = absence.is_some_and(|absence| o.clock.saturating_sub(absence.since) >= UNMENTIONED);
    match told(o, shadow, why).filter(|_| long && !rebooting(o)) {
        Some(status) => Step::new(Action::Report(Box::new(status)), Reason::HostAway),
        None => {
            let early = absence.map_or(Duration::ZERO, |absence| absence.retry_at.saturating_sub(o.clock));
            Step::new(Action::Wait(early.max(Duration::from_millis(100))), Reason::HostAway)
        }
    }
}

/// The last report with this message; `None` where there is nothing to add to it.
fn told(o: &Observation, shadow: &Shadow, why: &str) -> Option<BottlerocketShadowStatus> {
    let report = shadow.observed.as_ref()?;
    let told = Observed {
        message: Some(status::one_line(&format!("the update API gives no answer: {why}"))),
        host_unreachable_since: report.host_unreachable_since.or(Some(o.now)),
        ..report.clone()
    };
    (told != *report).then(|| BottlerocketShadowStatus::from(&told))
}
