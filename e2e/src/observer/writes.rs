//! Who wrote an object, from its managed fields.

use std::collections::VecDeque;

use api::names::{APISERVER_FIELD_MANAGER, CONTROLLER_FIELD_MANAGER};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// Writes remembered.
const MOST_WRITES: usize = 8_192;

/// A write by one of the operator's programs to a Node, a shadow or a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// When it was seen.
    pub at: Timestamp,
    /// Its resourceVersion.
    pub version: u64,
    /// What was written, as `kind/name`.
    pub object: String,
    /// The field manager that wrote it.
    pub manager: String,
}

/// The operator's writes, oldest first.
#[derive(Debug, Default)]
pub(super) struct Writes(VecDeque<Write>);

impl Writes {
    /// Takes note of a write, when it is one of the operator's.
    pub(super) fn note(
        &mut self,
        at: Timestamp,
        (kind, name, version): (&str, &str, u64),
        before: &[ManagedFieldsEntry],
        after: &[ManagedFieldsEntry],
    ) {
        let Some(manager) = writer(before, after) else { return };
        if ![APISERVER_FIELD_MANAGER, CONTROLLER_FIELD_MANAGER].contains(&manager) {
            return;
        }
        if self.0.len() >= MOST_WRITES {
            self.0.pop_front();
        }
        self.0.push_back(Write { at, version, object: format!("{kind}/{name}"), manager: manager.to_owned() });
    }

    /// Those after `version`.
    pub(super) fn since(&self, version: u64) -> Vec<Write> {
        self.0.iter().filter(|write| write.version > version).cloned().collect()
    }
}

/// The manager that made the write: the newest of those whose entry is another now. Entries have whole seconds, so that the
/// second of two writes in one second may change none: then it is the newest of all.
fn writer<'a>(before: &[ManagedFieldsEntry], after: &'a [ManagedFieldsEntry]) -> Option<&'a str> {
    let time = |entry: &&ManagedFieldsEntry| entry.time.as_ref().map(|time| time.0);
    let changed = after.iter().filter(|entry| !before.contains(entry)).max_by_key(time);
    changed.or_else(|| after.iter().max_by_key(time))?.manager.as_deref()
}

/// When an object was written last: the newest time among its managed fields, in whole seconds and so never too late. When it
/// was seen, where they have none.
pub(super) fn written(managers: &[ManagedFieldsEntry], seen: Timestamp) -> Timestamp {
    let newest = managers.iter().filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max();
    newest.map_or(seen, |newest| newest.min(seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn entry(manager: &str, second: i64) -> ManagedFieldsEntry {
        let time = Timestamp::from_second(second).map(Time).ok();
        ManagedFieldsEntry { manager: Some(manager.to_owned()), time, ..ManagedFieldsEntry::default() }
    }

    #[test]
    fn the_writer_is_whose_entry_has_changed() {
        let (kubelet, ours) = (entry("kubelet", 50), entry(APISERVER_FIELD_MANAGER, 20));
        let before = [kubelet.clone(), entry(APISERVER_FIELD_MANAGER, 10)];
        assert_eq!(writer(&before, &[kubelet.clone(), ours.clone()]), Some(APISERVER_FIELD_MANAGER));
        assert_eq!(writer(&[entry("kubelet", 40), ours.clone()], &[kubelet, ours]), Some("kubelet"));
    }

    #[test]
    fn a_second_write_in_one_second_is_the_newest_ones() {
        let all = [entry("kubelet", 50), entry(CONTROLLER_FIELD_MANAGER, 60)];
        assert_eq!(writer(&all, &all), Some(CONTROLLER_FIELD_MANAGER));
    }

    #[test]
    fn only_the_operators_writes_after_the_mark_are_told() {
        let (mut writes, at) = (Writes::default(), Timestamp::UNIX_EPOCH);
        writes.note(at, ("node", "a", 7), &[], &[entry(APISERVER_FIELD_MANAGER, 1)]);
        writes.note(at, ("node", "a", 8), &[], &[entry("kubelet", 2)]);
        writes.note(at, ("shadow", "brs-a", 9), &[], &[entry(CONTROLLER_FIELD_MANAGER, 3)]);
        let objects = |since| writes.since(since).into_iter().map(|write| write.object).collect::<Vec<_>>();
        assert_eq!(objects(0), ["node/a", "shadow/brs-a"]);
        assert_eq!(objects(7), ["shadow/brs-a"]);
        assert_eq!(objects(9), Vec::<String>::new());
    }
}
