//! A node with a valid approval, for tests.

use api::shadow::{Desired, NodeRef};
use api::{ApprovalId, DisruptionRecord, Shadow, State};
use jiff::{SignedDuration, Timestamp};
use semver::Version;

use super::NodeFacts;

pub(crate) fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

pub(crate) fn id() -> NodeRef {
    NodeRef { name: "a".to_owned(), uid: "n1".to_owned() }
}

pub(crate) fn approval() -> ApprovalId {
    ApprovalId { version: Version::new(1, 20, 0), since: now() - SignedDuration::from_secs(30) }
}

/// A shadow with an approval that is valid for ten minutes from [`now`].
pub(crate) fn shadow() -> Shadow {
    Shadow {
        name: "brs-a".to_owned(),
        uid: "s1".to_owned(),
        resource_version: "11".to_owned(),
        node: id(),
        desired: Desired {
            state: State::RebootedIntoUpdate,
            since: Some(approval().since),
            version: Some(approval().version),
            policy: Some("default".to_owned()),
            disrupt_not_after: Some(now() + SignedDuration::from_mins(10)),
            ..Desired::default()
        },
        observed: None,
        recorded_pin: None,
        conditions: Vec::new(),
    }
}

/// A shadow as the original operator writes it, about the same approval.
pub(crate) fn originals(state: State) -> Shadow {
    let mut shadow = shadow();
    shadow.desired.state = state;
    shadow.desired.policy = None;
    shadow.desired.disrupt_not_after = None;
    shadow
}

/// A Node that nobody has done anything to.
pub(crate) fn node() -> NodeFacts {
    NodeFacts {
        id: id(),
        resource_version: "7".to_owned(),
        unschedulable: false,
        exclusion: None,
        record: Ok(None),
        update_now: None,
        managed: true,
        pin: None,
    }
}

/// The first record of the approval.
pub(crate) fn record() -> DisruptionRecord {
    DisruptionRecord::first(approval(), now(), false, None)
}
