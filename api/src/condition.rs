//! `metav1.Condition` lists that change only when something changed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::text;

/// Longest message the API server accepts in a condition.
pub const MAX_MESSAGE: usize = 32_768;

/// A condition as a rule states it, before it is known since when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The condition's type.
    pub kind: &'static str,
    /// Whether it holds; `None` is `Unknown`.
    pub holds: Option<bool>,
    /// One word of a closed set.
    pub reason: &'static str,
    /// One sentence for people. What it repeats of others becomes a printable line.
    pub message: String,
}

/// Turns statements into conditions. One whose status is unchanged keeps the time of its last transition, so that a list
/// that says the same as before is equal to the one before.
#[must_use]
pub fn merge(
    before: &[Condition],
    statements: &[Statement],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    statements.iter().map(|statement| condition(before, statement, generation, now)).collect()
}

fn condition(before: &[Condition], statement: &Statement, generation: Option<i64>, now: Timestamp) -> Condition {
    let status = match statement.holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let since = before
        .iter()
        .find(|old| old.type_ == statement.kind && old.status == status)
        .map_or_else(|| Time(now), |old| old.last_transition_time.clone());
    Condition {
        type_: statement.kind.to_owned(),
        status: status.to_owned(),
        reason: statement.reason.to_owned(),
        message: text::line(&statement.message, MAX_MESSAGE),
        observed_generation: generation,
        last_transition_time: since,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(holds: bool, message: &str) -> Statement {
        Statement { kind: "Held", holds: Some(holds), reason: "Paused", message: message.to_owned() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_does() {
        let first = merge(&[], &[says(true, "a")], Some(1), at(10));
        let reworded = merge(&first, &[says(true, "b")], Some(1), at(20));
        assert_eq!(reworded[0].last_transition_time, Time(at(10)));
        assert_eq!(reworded[0].message, "b");
        let turned = merge(&reworded, &[says(false, "b")], Some(1), at(30));
        assert_eq!(turned[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn what_a_message_repeats_of_others_cannot_reach_a_terminal() {
        let said = says(true, "held: \u{1b}[2Jall is well\nnode b: \u{202e}dlrow");
        assert_eq!(merge(&[], &[said], None, at(10))[0].message, "held: all is well node b: dlrow");
    }

    #[test]
    fn saying_the_same_again_changes_nothing() {
        let first = merge(&[], &[says(true, "a")], Some(1), at(10));
        assert_eq!(merge(&first, &[says(true, "a")], Some(1), at(99)), first);
    }
}
