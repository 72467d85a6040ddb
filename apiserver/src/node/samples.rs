//! A node with a valid go, for tests.

use api::shadow::{NodeRef, Order};
use api::{GoId, Marks, Shadow, State};
use jiff::{SignedDuration, Timestamp};
use semver::Version;

use super::NodeFacts;

pub(crate) fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

pub(crate) fn id() -> NodeRef {
    NodeRef { name: "a".to_owned(), uid: "n1".to_owned() }
}

pub(crate) fn go() -> GoId {
    GoId { version: Version::new(1, 20, 0), since: now() - SignedDuration::from_secs(30) }
}

/// A shadow with a go that is valid for ten minutes from [`now`].
pub(crate) fn shadow() -> Shadow {
    Shadow {
        name: "brs-a".to_owned(),
        uid: "s1".to_owned(),
        resource_version: "11".to_owned(),
        node: id(),
        order: Order {
            state: State::RebootedIntoUpdate,
            since: Some(go().since),
            version: Some(go().version),
            policy: Some("default".to_owned()),
            disrupt_not_after: Some(now() + SignedDuration::from_mins(10)),
            ..Order::default()
        },
        report: None,
        recorded_pin: None,
        conditions: Vec::new(),
    }
}

/// A shadow as the original operator writes it, about the same go.
pub(crate) fn originals(state: State) -> Shadow {
    let mut shadow = shadow();
    shadow.order.state = state;
    shadow.order.policy = None;
    shadow.order.disrupt_not_after = None;
    shadow
}

/// A Node that nobody has done anything to.
pub(crate) fn node() -> NodeFacts {
    NodeFacts {
        id: id(),
        resource_version: "7".to_owned(),
        unschedulable: false,
        exclusion: None,
        marks: Ok(None),
        update_now: None,
        managed: true,
        pin: None,
    }
}

/// The first mark of the go.
pub(crate) fn marks() -> Marks {
    Marks::first(go(), now(), false, None)
}
