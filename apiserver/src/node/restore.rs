//! Whether what was done to a node is to be undone now, and how.

use api::wire::Reason;
use api::{DisruptionRecord, Shadow, State};
use jiff::Timestamp;
use thiserror::Error;

use super::adopt::adopted;
use super::disruption::Disruption;
use super::facts::{Change, NodeFacts};
use crate::refusal::Refusal;

/// Why a node is not restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotRestored {
    /// The shadow is that of a Node which was there before.
    #[error("the shadow belongs to another Node of this name")]
    NotOwned,
    /// It is not asked for.
    #[error("restoring is not asked for: the node is asked to be {}", .0.as_str())]
    NotAsked(State),
    /// The record or the shadow cannot be read, so what was there before or is asked for is not known.
    #[error("{0}")]
    Unreadable(String),
}

impl From<NotRestored> for Refusal {
    fn from(refused: NotRestored) -> Self {
        Self::new(Reason::NotGivingBack, refused.to_string())
    }
}

/// The change that undoes what the record says we did, or would say had the original operator left one. `None` when it says
/// nothing: what is not recorded is an administrator's.
///
/// # Errors
/// When it is not to be undone now.
pub fn restored(
    what: Disruption,
    shadow: &Shadow,
    node: &NodeFacts,
    now: Timestamp,
) -> Result<Option<Change>, NotRestored> {
    if shadow.node != node.id {
        return Err(NotRestored::NotOwned);
    }
    match shadow.desired.state {
        State::Idle | State::MonitoringUpdate => {}
        state @ (State::StagedAndPerformedUpdate | State::RebootedIntoUpdate | State::ErrorReset) => {
            return Err(NotRestored::NotAsked(state));
        }
    }
    let record = node.record.clone().map_err(|error| NotRestored::Unreadable(error.to_string()))?;
    let record = record.or_else(|| adopted(shadow, node, now));
    Ok(record.and_then(|record| undo(what, &record, node)))
}

/// The change that undoes all that the record says we did, and removes it.
#[must_use]
pub fn all_restored(record: &DisruptionRecord, node: &NodeFacts) -> Change {
    Change { record: None, unschedulable: schedulable(record, node), exclusion: label(record, node) }
}

fn undo(what: Disruption, record: &DisruptionRecord, node: &NodeFacts) -> Option<Change> {
    let mut after = record.clone();
    let mut change = Change::record(None);
    match what {
        Disruption::Cordon => {
            after.cordoned = false;
            after.drain_began = None;
            change.unschedulable = schedulable(record, node);
        }
        Disruption::Exclusion => {
            after.excluded = false;
            change.exclusion = label(record, node);
        }
    }
    change.record = (after.cordoned || after.excluded).then_some(after);
    (change.record.as_ref() != Some(record)).then_some(change)
}

/// What becomes of `spec.unschedulable`.
fn schedulable(record: &DisruptionRecord, node: &NodeFacts) -> Option<bool> {
    (record.cordoned && node.unschedulable && !record.cordoned_before).then_some(false)
}

/// What becomes of the exclusion label. One that somebody has removed since stays removed.
fn label(record: &DisruptionRecord, node: &NodeFacts) -> Option<Option<String>> {
    let before = record.exclusion_before.clone().filter(|value| is_label_value(value));
    (record.excluded && node.exclusion.is_some()).then_some(before)
}

/// Whether the API server takes it as a label's value. The record is an annotation that others can write.
fn is_label_value(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63 && bytes.iter().copied().all(inner) && ends(bytes.first()) && ends(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::{node, now, originals, record, shadow};

    fn recorded(record: DisruptionRecord, unschedulable: bool, exclusion: Option<&str>) -> NodeFacts {
        NodeFacts { record: Ok(Some(record)), unschedulable, exclusion: exclusion.map(str::to_owned), ..node() }
    }

    fn idle() -> Shadow {
        let mut shadow = shadow();
        shadow.desired.state = State::Idle;
        shadow
    }

    fn both() -> DisruptionRecord {
        DisruptionRecord { cordoned: true, excluded: true, ..record() }
    }

    #[test]
    fn only_idle_and_monitoring_restore() {
        let node = recorded(both(), true, Some("true"));
        for state in State::ALL {
            let mut shadow = shadow();
            shadow.desired.state = state;
            let change = restored(Disruption::Cordon, &shadow, &node, now());
            let expected = matches!(state, State::Idle | State::MonitoringUpdate);
            assert_eq!(change.is_ok(), expected, "{state:?}: {change:?}");
        }
    }

    #[test]
    fn the_last_of_the_two_removes_the_record() {
        let first = restored(Disruption::Exclusion, &idle(), &recorded(both(), true, Some("true")), now());
        let first = first.unwrap().unwrap();
        assert_eq!(first.exclusion, Some(None));
        let left = first.record.unwrap();
        assert!(left.cordoned && !left.excluded);
        let second = restored(Disruption::Cordon, &idle(), &recorded(left, true, None), now());
        assert_eq!(second.unwrap(), Some(Change { record: None, unschedulable: Some(false), exclusion: None }));
    }

    #[test]
    fn everything_is_undone_at_once_as_it_is_one_by_one() {
        let node = recorded(both(), true, Some("true"));
        let all = all_restored(&both(), &node);
        assert_eq!(all, Change { record: None, unschedulable: Some(false), exclusion: Some(None) });
        let before = DisruptionRecord { cordoned_before: true, exclusion_before: Some("someone".to_owned()), ..both() };
        let all = all_restored(&before, &recorded(before.clone(), true, Some("true")));
        assert_eq!((all.unschedulable, all.exclusion), (None, Some(Some("someone".to_owned()))));
    }

    #[test]
    fn what_was_there_before_is_there_again() {
        let before = DisruptionRecord { cordoned_before: true, exclusion_before: Some("someone".to_owned()), ..both() };
        let node = recorded(before, true, Some("true"));
        let uncordon = restored(Disruption::Cordon, &idle(), &node, now()).unwrap().unwrap();
        assert_eq!(uncordon.unschedulable, None, "it was cordoned before");
        let include = restored(Disruption::Exclusion, &idle(), &node, now()).unwrap().unwrap();
        assert_eq!(include.exclusion, Some(Some("someone".to_owned())));
    }

    #[test]
    fn what_an_administrator_undid_since_is_not_done_again() {
        let before = DisruptionRecord { cordoned_before: true, exclusion_before: Some("someone".to_owned()), ..both() };
        let node = recorded(before, false, None);
        let uncordon = restored(Disruption::Cordon, &idle(), &node, now()).unwrap().unwrap();
        assert_eq!(uncordon.unschedulable, None);
        let include = restored(Disruption::Exclusion, &idle(), &node, now()).unwrap().unwrap();
        assert_eq!(include.exclusion, None);
    }

    #[test]
    fn a_cordon_without_marks_is_left_alone() {
        let node = NodeFacts { unschedulable: true, exclusion: Some("true".to_owned()), ..node() };
        assert_eq!(restored(Disruption::Cordon, &idle(), &node, now()), Ok(None));
        assert_eq!(restored(Disruption::Exclusion, &idle(), &node, now()), Ok(None));
    }

    #[test]
    fn what_the_original_operator_did_is_undone_piece_by_piece() {
        let shadow = originals(State::MonitoringUpdate);
        let cordoned = NodeFacts { unschedulable: true, exclusion: Some("True".to_owned()), ..node() };
        let first = restored(Disruption::Exclusion, &shadow, &cordoned, now()).unwrap().unwrap();
        assert_eq!((first.exclusion, first.unschedulable), (Some(None), None));
        let left = first.record.unwrap();
        assert!(left.cordoned && !left.excluded && !left.cordoned_before);
        let second = restored(Disruption::Cordon, &shadow, &recorded(left, true, None), now());
        assert_eq!(second.unwrap(), Some(Change { record: None, unschedulable: Some(false), exclusion: None }));
        // At rest a cordon without a record is an administrator's, whoever wrote the spec.
        assert_eq!(restored(Disruption::Cordon, &originals(State::Idle), &cordoned, now()), Ok(None));
    }

    #[test]
    fn a_record_under_which_nothing_was_done_goes_with_either() {
        for what in [Disruption::Cordon, Disruption::Exclusion] {
            let change = restored(what, &idle(), &recorded(record(), false, None), now()).unwrap();
            assert_eq!(change, Some(Change::record(None)));
        }
    }

    #[test]
    fn asking_again_changes_nothing() {
        let only_cordoned = DisruptionRecord { cordoned: true, ..record() };
        let node = recorded(only_cordoned, true, None);
        assert_eq!(restored(Disruption::Exclusion, &idle(), &node, now()), Ok(None));
    }

    #[test]
    fn a_forged_value_that_no_label_can_have_is_not_restored() {
        for forged in ["a b", "-a", "ä", &"a".repeat(64)] {
            let record = DisruptionRecord { exclusion_before: Some(forged.to_owned()), ..both() };
            let node = recorded(record, true, Some("true"));
            let include = restored(Disruption::Exclusion, &idle(), &node, now()).unwrap().unwrap();
            assert_eq!(include.exclusion, Some(None), "{forged}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_not_touched() {
        let node = NodeFacts {
            record: DisruptionRecord::decode(Some(
                &[(api::names::DISRUPTION_RECORD_ANNOTATION.to_owned(), "x".to_owned())].into(),
            )),
            unschedulable: true,
            ..node()
        };
        assert!(matches!(restored(Disruption::Cordon, &idle(), &node, now()), Err(NotRestored::Unreadable(_))));
    }
}
