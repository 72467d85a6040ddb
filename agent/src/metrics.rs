//! What the agent counts.

use std::time::Duration;

use api::shadow::Activity;
use prometheus::{CounterVec, Gauge, IntCounterVec, Opts, Registry};

use crate::outcome::{Asked, Drained, Outcome};
use crate::step::Action;

/// The agent's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    actions: IntCounterVec,
    seconds: CounterVec,
    /// When the apiserver last answered, in seconds since 1970.
    pub last_contact: Gauge,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let actions =
            Opts::new("brupop_agent_actions_total", "Requests to the host and the apiserver, by action and result.");
        let seconds = Opts::new("brupop_agent_activity_seconds_total", "Time spent in each activity.");
        let metrics = Self {
            actions: IntCounterVec::new(actions, &["action", "result"])?,
            seconds: CounterVec::new(seconds, &["activity"])?,
            last_contact: Gauge::new(
                "brupop_agent_last_contact_timestamp_seconds",
                "When the apiserver last answered, in seconds since 1970.",
            )?,
        };
        registry.register(Box::new(metrics.actions.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.last_contact.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn performed(&self, action: &Action, outcome: &Outcome) {
        if !matches!(action, Action::Wait(_)) {
            self.actions.with_label_values(&[action.as_str(), word(action, outcome)]).inc();
        }
    }

    pub(crate) fn spent(&self, activity: Option<Activity>, time: Duration) {
        let activity = activity.map_or_else(|| "Unreported".to_owned(), |activity| format!("{activity:?}"));
        self.seconds.with_label_values(&[activity.as_str()]).inc_by(time.as_secs_f64());
    }
}

const fn word(action: &Action, outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Lock(_) if matches!(action, Action::ReadLock) => "ok",
        // It was to be set, and had been changed since that was decided.
        Outcome::Lock(_) => "changed",
        Outcome::Waited | Outcome::Shadow(_) | Outcome::Restored | Outcome::LockSet => "ok",
        Outcome::Conflict => "conflict",
        Outcome::NotRestoring | Outcome::Drained(Drained::NoApproval) => "refused",
        Outcome::CallFailed(_) | Outcome::LockFailed(_) => "failed",
        Outcome::Asked(asked) => match asked {
            Asked::Started => "ok",
            Asked::Busy => "busy",
            Asked::NotAllowed | Asked::Gone(_) => "refused",
            Asked::Unsupported(_) => "unsupported",
            Asked::Failed(_) => "failed",
            Asked::NoAnswer(_) => "no-answer",
        },
        Outcome::Drained(drained) => match drained {
            Drained::Done => "ok",
            Drained::Progress(_) => "progress",
            Drained::NoApproval => "refused",
            Drained::Vetoed => "vetoed",
            Drained::TimedOut => "timed-out",
            Drained::Interrupted => "interrupted",
        },
    }
}
