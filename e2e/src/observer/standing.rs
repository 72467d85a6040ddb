//! Whether a node counts for the limits.

use api::{
    Shadow, State,
    shadow::{Failed, Verdict},
};
use jiff::Timestamp;

use super::cluster::{Cluster, NodeRecord};
use super::views::within_grace;

/// What a node counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its state, asked for or reported, is not Idle, or it carries marks.
    pub(super) in_flight: bool,
    /// It has an approval or carries marks.
    pub(super) disrupted: bool,
}

/// What a node counts as. One that has failed counts as neither, nor does one with nobody left to act on it and nothing on
/// its Node left to undo. An agent that became Ready a moment ago is taken for silent still: its node comes back into the
/// count, and the controller may have decided before that.
pub(super) fn standing(cluster: &Cluster, record: &NodeRecord, now: Timestamp) -> Standing {
    let node = &record.facts;
    let marked = node.has_record();
    let shadow = match cluster.shadow_of(node).map(|shadow| &shadow.shadow) {
        None => return Standing { in_flight: marked, disrupted: marked },
        Some(Err(_)) => return Standing { in_flight: true, disrupted: true },
        Some(Ok(shadow)) => shadow,
    };
    if has_failed(shadow, node.acknowledged.as_deref()) {
        return Standing::default();
    }
    let asked = shadow.desired.state != State::Idle;
    let reports = shadow.observed.as_ref().is_some_and(|report| report.state != State::Idle);
    let ours = shadow.observed.as_ref().is_some_and(|report| report.agent_version.is_some());
    let ready = cluster.agent_ready_since(&node.name).is_some_and(|since| !within_grace(since, now));
    let left_alone = !node.is_managed() || (!asked && ours && !ready);
    Standing {
        in_flight: marked || ((asked || reports) && !left_alone),
        disrupted: marked || (shadow.desired.state == State::RebootedIntoUpdate && node.is_managed()),
    }
}

/// Whether the node is a failed node: the verdict is about the version it is asked to run, or was last.
fn has_failed(shadow: &Shadow, acknowledged: Option<&str>) -> bool {
    let Some(Failed { kind, version, .. }) = shadow.observed.as_ref().and_then(|report| report.failed.as_ref()) else {
        return false;
    };
    let about_it = shadow.desired.version.as_ref().is_none_or(|asked| asked == version);
    *kind != Verdict::Unknown && about_it && acknowledged != Some(version.to_string().as_str())
}
