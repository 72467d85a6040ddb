//! What the API says to an eviction, and how long to wait after it.

use std::time::Duration;

use kube::core::Status;
use runtime::backoff::Backoff;

/// The first pause before an eviction is asked for again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause while a budget has no room, so that freed room is used soon.
const BUDGET_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause after other refusals.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// The longest a server may tell us to wait.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The API's answer to an eviction or a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The pod is on its way out.
    Accepted,
    /// The pod is gone, or another of its name is there.
    Gone,
    /// A PodDisruptionBudget has no room.
    Budget {
        /// Its name, where the API says it.
        name: Option<String>,
        /// How long the API wants us to wait.
        retry_after: Option<Duration>,
    },
    /// The API does not want it now.
    Refused {
        /// Why.
        why: Refused,
        /// How long the API wants us to wait.
        retry_after: Option<Duration>,
    },
}

/// Why an eviction is refused otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Several PodDisruptionBudgets select the pod, which the API does not support: somebody must correct that.
    SeveralBudgets,
    /// The API server has too much to do.
    Busy,
    /// It is forbidden: to us, by an admission webhook, or because the namespace is being deleted.
    Forbidden,
    /// Anything else the API said.
    Error,
    /// No answer.
    Silence,
}

impl Answer {
    /// One word, for metrics and logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Gone => "gone",
            Self::Budget { .. } => "budget",
            Self::Refused { why, .. } => match why {
                Refused::SeveralBudgets => "several_budgets",
                Refused::Busy => "busy",
                Refused::Forbidden => "forbidden",
                Refused::Error => "error",
                Refused::Silence => "silence",
            },
        }
    }

    /// Every word, for metrics that show zeros.
    pub const WORDS: [&'static str; 8] =
        ["accepted", "gone", "budget", "several_budgets", "busy", "forbidden", "error", "silence"];
}

/// Reads an answer of the API; `Err(None)` is that there was none.
#[must_use]
pub fn classify(answer: &Result<(), Option<Box<Status>>>) -> Answer {
    let status = match answer {
        Ok(()) => return Answer::Accepted,
        Err(Some(status)) => status,
        Err(None) => return refused(Refused::Silence, None),
    };
    let details = status.details.as_ref();
    let seconds = details.map_or(0, |details| details.retry_after_seconds);
    let retry_after = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
    let causes = details.map(|details| details.causes.as_slice()).unwrap_or_default();
    match status.code {
        // 409 is the precondition: the uid is another pod's.
        404 | 409 => Answer::Gone,
        429 => match causes.iter().find(|cause| cause.reason == "DisruptionBudget") {
            Some(cause) => Answer::Budget { name: budget_name(&cause.message), retry_after },
            None => refused(Refused::Busy, retry_after),
        },
        403 => refused(Refused::Forbidden, retry_after),
        500 if status.message.contains("more than one PodDisruptionBudget") => {
            refused(Refused::SeveralBudgets, retry_after)
        }
        _ => refused(Refused::Error, retry_after),
    }
}

fn refused(why: Refused, retry_after: Option<Duration>) -> Answer {
    Answer::Refused { why, retry_after }
}

/// The name in `The disruption budget web needs 2 healthy pods and has 2 currently`.
fn budget_name(message: &str) -> Option<String> {
    let rest = message.strip_prefix("The disruption budget ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// How long to wait after the `tries`-th refusal. `chance` is a number from 0 to 1 that spreads the callers.
#[must_use]
pub fn pause(answer: &Answer, tries: u32, chance: f64) -> Duration {
    let (longest, retry_after) = match answer {
        Answer::Accepted | Answer::Gone => (BUDGET_PAUSE, None),
        Answer::Budget { retry_after, .. } => (BUDGET_PAUSE, *retry_after),
        Answer::Refused { retry_after, .. } => (REFUSED_PAUSE, *retry_after),
    };
    let pause = Backoff { first: FIRST_PAUSE, longest }.pause(tries, chance);
    pause.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: serde_json::Value) -> Answer {
        classify(&Err(Some(serde_json::from_value(status).unwrap())))
    }

    #[test]
    fn a_budget_without_room_is_told_by_name() {
        let full = json!({
            "code": 429, "reason": "TooManyRequests",
            "message": "Cannot evict pod as it would violate the pod's disruption budget.",
            "details": {"causes": [{
                "reason": "DisruptionBudget",
                "message": "The disruption budget web needs 2 healthy pods and has 2 currently",
            }]},
        });
        assert_eq!(answer(full), Answer::Budget { name: Some("web".to_owned()), retry_after: None });
        let processing = json!({
            "code": 429,
            "details": {"retryAfterSeconds": 10, "causes": [{
                "reason": "DisruptionBudget", "message": "The disruption budget web is still being processed by the server.",
            }]},
        });
        assert_eq!(
            answer(processing),
            Answer::Budget { name: Some("web".to_owned()), retry_after: Some(Duration::from_secs(10)) }
        );
    }

    #[test]
    fn other_answers_are_told_apart() {
        let why = |status| match answer(status) {
            Answer::Refused { why, .. } => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(classify(&Ok(())), Answer::Accepted);
        assert_eq!(answer(json!({"code": 404})), Answer::Gone);
        assert_eq!(answer(json!({"code": 409})), Answer::Gone);
        assert_eq!(why(json!({"code": 429})), Refused::Busy);
        assert_eq!(why(json!({"code": 403})), Refused::Forbidden);
        assert_eq!(why(json!({"code": 500})), Refused::Error);
        let several =
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        assert_eq!(why(json!({"code": 500, "message": several})), Refused::SeveralBudgets);
        assert_eq!(classify(&Err(None)), refused(Refused::Silence, None));
    }

    #[test]
    fn every_word_is_listed_for_the_metrics() {
        let answers = [
            Answer::Accepted,
            Answer::Gone,
            Answer::Budget { name: None, retry_after: None },
            refused(Refused::SeveralBudgets, None),
            refused(Refused::Busy, None),
            refused(Refused::Forbidden, None),
            refused(Refused::Error, None),
            refused(Refused::Silence, None),
        ];
        assert_eq!(answers.map(|answer| answer.as_str()), Answer::WORDS);
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_never_undercut_what_the_server_asked_for() {
        let budget = Answer::Budget { name: None, retry_after: None };
        let seconds: Vec<_> = (1..=5).map(|tries| pause(&budget, tries, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 5, 5]);
        assert_eq!(pause(&budget, 1, 0.0), Duration::from_millis(500));
        assert_eq!(pause(&refused(Refused::Error, None), u32::MAX, 1.0), REFUSED_PAUSE);
        let asked = |seconds| refused(Refused::Busy, Some(Duration::from_secs(seconds)));
        assert_eq!(pause(&asked(10), 1, 0.5), Duration::from_secs(10));
        assert_eq!(pause(&asked(86_400), 1, 0.5), LONGEST_RETRY_AFTER);
    }
}
