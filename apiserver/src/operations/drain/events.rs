//! The Events of a drain on its Node, when something has changed, and how long the drain took.

use api::shadow::NodeRef;
use api::wire::Reason;
use jiff::Timestamp;

use super::Outcome;
use crate::app::App;
use crate::drain::Tracker;
use crate::identity::Identity;
use crate::node::NotAllowed;
use crate::node_events::EventReason;
use crate::operations::NotDisrupted;

fn node(identity: &Identity) -> NodeRef {
    NodeRef { name: identity.node.clone(), uid: identity.node_uid.clone() }
}

/// Records which budgets hold the drain up, when they are others than before.
pub(super) fn blocked(app: &App, identity: &Identity, began: Timestamp, tracker: &Tracker) {
    let (budgets, several) = (tracker.budgets(), tracker.in_several_budgets());
    if budgets.is_empty() && several.is_empty() {
        return;
    }
    let names: Vec<_> = budgets.keys().map(String::as_str).collect();
    let (names, unevictable) = (names.join(", "), several.join(", "));
    let key = format!("{began} {names} {unevictable}");
    app.events.record(&node(identity), EventReason::DrainBlocked, key, || {
        let pods = budgets.values().map(Vec::len).sum::<usize>();
        let example = budgets.values().flatten().next();
        let full = example.map(|example| {
            format!("the drain waits for room in PodDisruptionBudget {names}; pods that wait: {pods}, such as {example}")
        });
        let wrong = (!several.is_empty()).then(|| {
            format!("the eviction API refuses pods that several PodDisruptionBudgets select, which somebody must correct: {unevictable}")
        });
        full.into_iter().chain(wrong).collect::<Vec<_>>().join("; ")
    });
}

/// Records that a drain which was asked for again had been vetoed in between, once for each drain.
pub fn vetoed(app: &App, identity: &Identity, drain: Option<Timestamp>) {
    let key = veto(drain);
    let why = NotAllowed::Vetoed { drain };
    app.events.record(&node(identity), EventReason::DrainAborted, key, || format!("the drain ends: {why}"));
}

/// What makes a veto the same. The drain may go on after it, and end in another way.
fn veto(drain: Option<Timestamp>) -> String {
    format!("vetoed {}", drain.map(|began| began.to_string()).unwrap_or_default())
}

/// Records how the drain ended, once.
pub(super) fn ended(
    app: &App,
    identity: &Identity,
    began: Timestamp,
    tracker: &Tracker,
    outcome: &Result<Outcome, NotDisrupted>,
) {
    let (reason, note) = match outcome {
        Ok(Outcome::Unfinished(_)) => return,
        Ok(Outcome::Drained) if tracker.left() == 0 => {
            (EventReason::Drained, "every pod that had to go is gone".to_owned())
        }
        Ok(Outcome::Drained) => {
            let note = format!("the forced drain is over; left behind: {}", tracker.names().join(", "));
            (EventReason::Drained, note)
        }
        Err(NotDisrupted::NotAllowed(why)) => (EventReason::DrainAborted, format!("the drain ends: {why}")),
        Err(NotDisrupted::Refused(refusal)) if refusal.reason == Reason::DrainTimedOut => {
            (EventReason::DrainAborted, refusal.error.clone())
        }
        // It says nothing of the drain, which the next request takes up.
        Err(NotDisrupted::Refused(_)) => return,
    };
    // The agent asks once more before the reboot: that is the same drain.
    let key = match outcome {
        Err(NotDisrupted::NotAllowed(NotAllowed::Vetoed { drain })) => veto(*drain),
        _ => began.to_string(),
    };
    if app.events.record(&node(identity), reason, key, || note) {
        let seconds = app.now().duration_since(began).as_secs_f64();
        app.metrics.drain_ended(reason == EventReason::Drained, seconds);
    }
}
