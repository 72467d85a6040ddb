//! What a write of a shadow's spec changes.

use api::State;
use api::shadow::Desired;

/// What a write of a shadow's spec changes, as far as limits and policies have a say in it. To go back to Idle, to restore a node and to
/// finish its update is never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpecChange {
    /// The node may stage a version.
    Start,
    /// The node may be disrupted.
    Approval,
    /// Its approval holds for longer.
    Renewal,
}

/// What changes from one spec to the next.
pub(super) fn spec_change(before: &Desired, after: &Desired) -> Option<SpecChange> {
    let same_version = before.version == after.version;
    match (before.state, after.state) {
        // The same update, or an approval that was withdrawn from it.
        (State::StagedAndPerformedUpdate | State::RebootedIntoUpdate, State::StagedAndPerformedUpdate)
            if same_version =>
        {
            None
        }
        (_, State::StagedAndPerformedUpdate) => Some(SpecChange::Start),
        (State::RebootedIntoUpdate, State::RebootedIntoUpdate) if same_version && before.since == after.since => {
            (before.disrupt_not_after < after.disrupt_not_after && before.approval().is_some())
                .then_some(SpecChange::Renewal)
        }
        (_, State::RebootedIntoUpdate) => Some(SpecChange::Approval),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use semver::Version;

    fn desired(state: State, minor: u64, since: i64, expires: Option<i64>) -> Desired {
        Desired {
            state,
            version: Some(Version::new(1, minor, 0)),
            since: Timestamp::from_second(since).ok(),
            disrupt_not_after: expires.and_then(|second| Timestamp::from_second(second).ok()),
            ..Desired::default()
        }
    }

    #[test]
    fn every_change_from_one_spec_to_the_next_is_named() {
        use State::{Idle, MonitoringUpdate, RebootedIntoUpdate as Approval, StagedAndPerformedUpdate as Stage};
        let idle = Desired::default();
        let (staged, approval) = (desired(Stage, 20, 1, None), desired(Approval, 20, 2, Some(10)));
        for (before, after, expected) in [
            (&idle, &staged, Some(SpecChange::Start)),
            (&staged, &desired(Stage, 20, 9, None), None),
            (&staged, &desired(Stage, 21, 9, None), Some(SpecChange::Start)),
            (&staged, &approval, Some(SpecChange::Approval)),
            (&idle, &approval, Some(SpecChange::Approval)),
            (&approval, &desired(Approval, 20, 2, Some(20)), Some(SpecChange::Renewal)),
            (&approval, &desired(Approval, 20, 2, Some(5)), None),
            (&approval, &desired(Approval, 20, 3, Some(10)), Some(SpecChange::Approval)),
            (&approval, &desired(Approval, 21, 2, Some(10)), Some(SpecChange::Approval)),
            (&approval, &desired(Stage, 20, 5, None), None),
            (&approval, &desired(Stage, 21, 5, None), Some(SpecChange::Start)),
            (&approval, &desired(MonitoringUpdate, 20, 5, None), None),
            (&desired(MonitoringUpdate, 20, 5, None), &desired(Idle, 20, 6, None), None),
        ] {
            assert_eq!(spec_change(before, after), expected, "{before:?} -> {after:?}");
        }
    }
}
