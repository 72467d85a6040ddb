//! What says whether a node counts for the limits, as far as the controller may know it.

use api::in_flight::{Facts, Unreadable};
use jiff::Timestamp;

use super::cluster::{Cluster, TrackedNode};
use super::views::within_grace;

/// What says whether a node is in flight. A node comes back into the count when its agent becomes Ready, or when it had failed and its
/// record is removed; the controller may not know that yet when it was so a moment ago, and then it is left out.
pub(super) fn facts<'a>(cluster: &'a Cluster, node: &'a TrackedNode, now: Timestamp) -> Facts<'a> {
    let ready_since = cluster.agent_ready_since(&node.facts.name);
    let shadow = cluster.shadow_of(&node.facts).map(|shadow| shadow.shadow.as_deref().map_err(|_| Unreadable));
    let facts = Facts {
        managed: node.facts.is_managed(),
        record: node.facts.record.as_ref().map(Option::as_ref).map_err(|_| Unreadable),
        shadow,
        failure_acknowledged: node.facts.acknowledged.as_ref(),
        agent_ready: ready_since.is_some_and(|since| !within_grace(since, now)),
        now,
    };
    let removed = node.removed_record.as_ref().filter(|(since, _)| within_grace(*since, now));
    let before = removed.map(|(_, record)| Facts { record: Ok(Some(record)), ..facts });
    before.filter(Facts::has_failed).unwrap_or(facts)
}
