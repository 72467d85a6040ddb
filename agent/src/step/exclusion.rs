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

/// What comes before the drain; `None` when it may begin.
pub(super) fn exclude(view: &View<'_>, approval: &ApprovalId) -> Option<Decision> {
    let wait = Duration::from_secs(view.shadow.desired.exclusion_wait_seconds.into());
    let activity = view.activity();
    let over = matches!(activity, Some(Activity::Draining | Activity::Activating | Activity::Rebooting));
    if wait.is_zero() || over || view.o.memory.on.progress.is_some() {
        return None;
    }
    let decision = Decision::staged(view).doing(Activity::ExcludingFromLoadBalancer);
    let reported = reported(view);
    let stored = reported.filter(|until| is_of_this_approval(view, *until, wait));
    let excluded_at = view.o.memory.on.excluded_at;
    let left = match (excluded_at, stored) {
        (Some(at), _) => (at + wait).saturating_sub(view.o.clock),
        (None, Some(until)) => Duration::try_from(until.duration_since(view.o.now)).unwrap_or_default(),
        (None, None) => return Some(decision.then((Action::Exclude(approval.clone()), Reason::Approved))),
    };
    // Reports the time once: every new value would cost a write.
    let said = reported.filter(|_| stored.is_some() || excluded_at.is_some());
    let decision = match said.or_else(|| after(view.o.now, left)) {
        Some(until) => Decision { drain_not_before: Some(until), ..decision }
            .saying(format!("out of the load balancers, draining from {}", timestamp::render(until))),
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

/// When an earlier process, or this one, has reported that the drain may begin. It is stored so that an agent that was restarted
/// does not wait anew.
fn reported(view: &View<'_>) -> Option<Timestamp> {
    let report = view.shadow.observed.as_ref()?;
    report.drain_not_before.filter(|_| report.activity == Some(Activity::ExcludingFromLoadBalancer))
}

fn after(now: Timestamp, left: Duration) -> Option<Timestamp> {
    now.checked_add(left).ok()?.round(jiff::Unit::Second).ok()
}

/// Whether a reported time belongs to this very approval. The clock of the node may go somewhat behind that of the controller,
/// which dates the approval.
fn is_of_this_approval(view: &View<'_>, until: Timestamp, wait: Duration) -> bool {
    let earliest =
        view.shadow.desired.since.and_then(|since| since.checked_add(wait).ok()?.checked_sub(TOLERANCE).ok());
    let latest = view.o.now.checked_add(wait + Duration::from_secs(1)).ok();
    earliest.is_some_and(|earliest| earliest <= until) && latest.is_some_and(|latest| until <= latest)
}
