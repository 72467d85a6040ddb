//! Out of the load balancers before the drain, where the policy says so.

use std::time::Duration;

use api::ApprovalId;
use api::shadow::{Activity, FailureKind};
use api::timestamp;
use jiff::Timestamp;

use super::action::{Action, Reason};
use super::command::{ask, given_up};
use super::decision::Decision;
use super::refresh::is_fresh;
use super::view::{LONGEST_WAIT, View};
use crate::updates::Command;

/// How far the clocks of node and controller may lie apart.
const TOLERANCE: Duration = Duration::from_secs(60);
/// Before the time, in the message. The time is read back by an agent that was restarted, so that it does not wait anew.
const WORDS: &str = "out of the load balancers, draining from ";

/// What comes before the drain; `None` when it may begin.
pub(super) fn exclude(view: &View<'_>, approval: &ApprovalId) -> Option<Decision> {
    let wait = Duration::from_secs(view.shadow.desired.exclusion_wait_seconds.into());
    let activity = view.activity();
    let over = matches!(activity, Some(Activity::Draining | Activity::Activating | Activity::Rebooting));
    if wait.is_zero() || over || view.o.memory.on.progress.is_some() {
        return None;
    }
    let decision = Decision::staged(view).doing(Activity::ExcludingFromLoadBalancer);
    let stored = stored(view, activity, wait);
    let left = match (view.o.memory.on.excluded_at, stored) {
        (Some(at), _) => (at + wait).saturating_sub(view.o.clock),
        (None, Some(until)) => Duration::try_from(until.duration_since(view.o.now)).unwrap_or_default(),
        (None, None) => return Some(decision.then((Action::Exclude(approval.clone()), Reason::Approved))),
    };
    let decision = match said(view, activity).or_else(|| words(view.o.now.checked_add(left).ok()?)) {
        Some(text) => decision.saying(text),
        None => decision,
    };
    if !left.is_zero() {
        return Some(decision.then((Action::Wait(left.min(LONGEST_WAIT)), Reason::AwaitExclusion)));
    }
    // The wait may have been long: nothing is drained for a repository that has gone away meanwhile.
    if is_fresh(view) {
        return None;
    }
    Some(match given_up(view, Command::Refresh) {
        Some(why) => Decision::failing(view, FailureKind::Drain, why),
        None => decision.then(ask(view, Command::Refresh, Reason::RefreshDue)),
    })
}

/// What was said before: the time is said once, as each other one would be a write.
fn said(view: &View<'_>, activity: Option<Activity>) -> Option<String> {
    let report = view.shadow.observed.as_ref().filter(|_| activity == Some(Activity::ExcludingFromLoadBalancer))?;
    let same = stored(view, activity, Duration::from_secs(view.shadow.desired.exclusion_wait_seconds.into()));
    let text = report.message.clone().filter(|text| text.starts_with(WORDS))?;
    (same.is_some() || view.o.memory.on.excluded_at.is_some()).then_some(text)
}

fn words(until: Timestamp) -> Option<String> {
    let until = until.round(jiff::Unit::Second).ok()?;
    Some(format!("{WORDS}{}", timestamp::render(until)))
}

/// Until when an earlier process was to wait, under this very approval. The clock of the node may go somewhat behind that of the
/// controller, which dates the approval.
fn stored(view: &View<'_>, activity: Option<Activity>, wait: Duration) -> Option<Timestamp> {
    let report = view.shadow.observed.as_ref().filter(|_| activity == Some(Activity::ExcludingFromLoadBalancer))?;
    let until = timestamp::parse(report.message.as_deref()?.strip_prefix(WORDS)?).ok()?;
    let earliest = view.shadow.desired.since?.checked_add(wait).ok()?.checked_sub(TOLERANCE).ok()?;
    let latest = view.o.now.checked_add(wait).ok()?.checked_add(Duration::from_secs(1)).ok()?;
    (earliest <= until && until <= latest).then_some(until)
}
