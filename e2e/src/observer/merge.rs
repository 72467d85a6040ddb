//! Events of several watches, brought into the one order in which they were written.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::HOLD;
use super::event::{Event, HostChange, Seen};

/// Events that wait for those that were written before them.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// By resourceVersion, with when it was seen. A write of one object is one revision of etcd.
    cluster: BTreeMap<u64, (Timestamp, Seen)>,
    hosts: Vec<(Timestamp, String, HostChange)>,
}

impl Merge {
    pub(super) fn seen(&mut self, at: Timestamp, seen: Seen) {
        self.cluster.insert(seen.version(), (at, seen));
    }

    pub(super) fn host(&mut self, at: Timestamp, node: String, change: HostChange) {
        self.hosts.push((at, node, change));
    }

    /// Forgets what the cluster showed and still waits.
    pub(super) fn forget(&mut self) {
        self.cluster.clear();
    }

    /// The events that have waited long enough at `now`, in order: with a write all that were made before it, and the events
    /// of hosts after everything that was seen until they were due.
    pub(super) fn release(&mut self, now: Timestamp) -> Vec<Event> {
        let due = |at: Timestamp| now.duration_since(at) >= HOLD;
        let last = self.cluster.iter().rev().find(|(_, (at, _))| due(*at)).map(|(version, _)| *version);
        let mut released = Vec::new();
        if let Some(last) = last {
            let later = self.cluster.split_off(&(last + 1));
            let ready = std::mem::replace(&mut self.cluster, later).into_values();
            released.extend(ready.map(|(at, seen)| Event::Cluster { at, seen: Box::new(seen) }));
        }
        let (ready, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.hosts).into_iter().partition(|(at, ..)| due(*at));
        self.hosts = later;
        released.extend(ready.into_iter().map(|(at, node, change)| Event::Host { at, node, change }));
        released
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::observer::event::Change;
    use crate::observer::samples::{node, shadow};

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_millis(millis)).unwrap()
    }

    fn a_node(version: u64) -> Seen {
        Seen::Node(Change::Applied(crate::observer::NodeFacts { version, ..node("a") }))
    }

    fn a_shadow(version: u64) -> Seen {
        Seen::Shadow(Change::Applied(crate::observer::ShadowFacts { version, ..shadow("a") }))
    }

    fn hold() -> i64 {
        i64::try_from(HOLD.as_millis()).unwrap()
    }

    fn released(merge: &mut Merge, millis: i64) -> Vec<u64> {
        let version = |event| match event {
            Event::Cluster { seen, .. } => seen.version(),
            Event::Host { .. } => 0,
        };
        merge.release(at(millis)).into_iter().map(version).collect()
    }

    #[test]
    fn kinds_are_ordered_by_when_they_were_written() {
        let (mut merge, hold) = (Merge::default(), hold());
        merge.seen(at(0), a_node(7));
        merge.seen(at(10), a_shadow(6));
        merge.seen(at(20), a_shadow(8));
        assert_eq!(released(&mut merge, hold - 1), [0; 0]);
        assert_eq!(released(&mut merge, hold), [6, 7]);
        assert_eq!(released(&mut merge, hold + 20), [8]);
    }

    #[test]
    fn a_host_comes_after_all_that_was_seen_by_then() {
        let (mut merge, hold) = (Merge::default(), hold());
        merge.host(at(0), "a".to_owned(), HostChange::Down { approved: true });
        merge.seen(at(0), a_node(7));
        assert_eq!(released(&mut merge, hold), [7, 0]);
    }
}
