//! What a write of a shadow's spec asks for.

use api::{State, shadow::Desired};

/// What a write of a shadow's spec asks for, as far as limits and policies have a say in it. Going back, giving back and
/// finishing are never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stage a version.
    Start,
    /// To disrupt the node.
    Go,
    /// The approval that was given holds for longer.
    Renewal,
}

/// What the step from one order to the next asks for.
pub(super) fn asked(before: &Desired, after: &Desired) -> Option<Asked> {
    let same_version = before.version == after.version;
    match (before.state, after.state) {
        // The same update, or an approval that was withdrawn from it.
        (State::StagedAndPerformedUpdate | State::RebootedIntoUpdate, State::StagedAndPerformedUpdate)
            if same_version =>
        {
            None
        }
        (_, State::StagedAndPerformedUpdate) => Some(Asked::Start),
        (State::RebootedIntoUpdate, State::RebootedIntoUpdate) if same_version && before.since == after.since => {
            (before.disrupt_not_after < after.disrupt_not_after && before.approval().is_some())
                .then_some(Asked::Renewal)
        }
        (_, State::RebootedIntoUpdate) => Some(Asked::Go),
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
    fn every_step_between_orders_is_told() {
        use State::{Idle, MonitoringUpdate, RebootedIntoUpdate as Go, StagedAndPerformedUpdate as Stage};
        let idle = Desired::default();
        let (staged, approval) = (desired(Stage, 20, 1, None), desired(Go, 20, 2, Some(10)));
        for (before, after, expected) in [
            (&idle, &staged, Some(Asked::Start)),
            (&staged, &desired(Stage, 20, 9, None), None),
            (&staged, &desired(Stage, 21, 9, None), Some(Asked::Start)),
            (&staged, &approval, Some(Asked::Go)),
            (&idle, &approval, Some(Asked::Go)),
            (&approval, &desired(Go, 20, 2, Some(20)), Some(Asked::Renewal)),
            (&approval, &desired(Go, 20, 2, Some(5)), None),
            (&approval, &desired(Go, 20, 3, Some(10)), Some(Asked::Go)),
            (&approval, &desired(Go, 21, 2, Some(10)), Some(Asked::Go)),
            (&approval, &desired(Stage, 20, 5, None), None),
            (&approval, &desired(Stage, 21, 5, None), Some(Asked::Start)),
            (&approval, &desired(MonitoringUpdate, 20, 5, None), None),
            (&desired(MonitoringUpdate, 20, 5, None), &desired(Idle, 20, 6, None), None),
        ] {
            assert_eq!(asked(before, after), expected, "{before:?} -> {after:?}");
        }
    }
}
