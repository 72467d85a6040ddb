//! What a write of a shadow's spec asks for.

use api::{State, shadow::Order};

/// What a write of a shadow's spec asks for, as far as limits and policies have a say in it. Going back, giving back and
/// finishing are never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stage a version.
    Start,
    /// To disrupt the node.
    Go,
    /// The go that was given holds for longer.
    Renewal,
}

/// What the step from one order to the next asks for.
pub(super) fn asked(before: &Order, after: &Order) -> Option<Asked> {
    let same_version = before.version == after.version;
    match (before.state, after.state) {
        // The same update, or a go that was withdrawn from it.
        (State::StagedAndPerformedUpdate | State::RebootedIntoUpdate, State::StagedAndPerformedUpdate)
            if same_version =>
        {
            None
        }
        (_, State::StagedAndPerformedUpdate) => Some(Asked::Start),
        (State::RebootedIntoUpdate, State::RebootedIntoUpdate) if same_version && before.since == after.since => {
            (before.disrupt_not_after < after.disrupt_not_after && before.go().is_some()).then_some(Asked::Renewal)
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

    fn order(state: State, minor: u64, since: i64, expires: Option<i64>) -> Order {
        Order {
            state,
            version: Some(Version::new(1, minor, 0)),
            since: Timestamp::from_second(since).ok(),
            disrupt_not_after: expires.and_then(|second| Timestamp::from_second(second).ok()),
            ..Order::default()
        }
    }

    #[test]
    fn every_step_between_orders_is_told() {
        use State::{Idle, MonitoringUpdate, RebootedIntoUpdate as Go, StagedAndPerformedUpdate as Stage};
        let idle = Order::default();
        let (staged, go) = (order(Stage, 20, 1, None), order(Go, 20, 2, Some(10)));
        for (before, after, expected) in [
            (&idle, &staged, Some(Asked::Start)),
            (&staged, &order(Stage, 20, 9, None), None),
            (&staged, &order(Stage, 21, 9, None), Some(Asked::Start)),
            (&staged, &go, Some(Asked::Go)),
            (&idle, &go, Some(Asked::Go)),
            (&go, &order(Go, 20, 2, Some(20)), Some(Asked::Renewal)),
            (&go, &order(Go, 20, 2, Some(5)), None),
            (&go, &order(Go, 20, 3, Some(10)), Some(Asked::Go)),
            (&go, &order(Go, 21, 2, Some(10)), Some(Asked::Go)),
            (&go, &order(Stage, 20, 5, None), None),
            (&go, &order(Stage, 21, 5, None), Some(Asked::Start)),
            (&go, &order(MonitoringUpdate, 20, 5, None), None),
            (&order(MonitoringUpdate, 20, 5, None), &order(Idle, 20, 6, None), None),
        ] {
            assert_eq!(asked(before, after), expected, "{before:?} -> {after:?}");
        }
    }
}
