//! Whether a disruption began under an approval for it.
//!
//! A record alone disrupts nothing: it is written first, and removed when the approval has been withdrawn by then. So what is judged is
//! what is done to the Node under the record, and of the record itself only that it names an approval that was given.

use api::DisruptionRecord;
use api::names::{APISERVER_FIELD_MANAGER, CONTROLLER_FIELD_MANAGER, EXCLUDE_FROM_LOAD_BALANCERS_LABEL};
use jiff::{SignedDuration, Timestamp};

use super::breach::{Breach, Rule};
use super::facts::NodeFacts;
use super::memory::Memory;
use super::writes::written;

/// How long ago an apiserver may have read the approval that its record names: the deadline of its write, doubled. For as long after
/// a list a record may name an approval that no watch has shown.
const READ_TO_WRITE: SignedDuration = SignedDuration::from_secs(10);

/// Judges a write of a Node. `owned` says whether there is a shadow of this very Node, `listed` when everything was listed
/// last.
pub(super) fn judge(
    at: Timestamp,
    listed: Timestamp,
    memory: &mut Memory,
    owned: bool,
    (before, after): (&NodeFacts, &NodeFacts),
) -> Vec<Breach> {
    let mut messages = Vec::new();
    match (before.record(), after.record()) {
        (old, Some(new)) => {
            if old.map(|old| &old.approval) != Some(&new.approval) {
                messages.extend(name(at, listed, memory, new));
                memory.begin(&new.approval);
            }
            if acts(old, new) {
                messages.extend(act(at, memory, owned, (before, after), new));
            }
        }
        (_, None) if !after.has_record() => {
            memory.begun = None;
            messages.extend(unrecorded(before, after));
        }
        (_, None) => {}
    }
    let objects = || vec![format!("node/{}", after.name)];
    messages.into_iter().map(|message| Breach { at, rule: Rule::Beginning, objects: objects(), message }).collect()
}

/// What is wrong with a new record.
fn name(at: Timestamp, listed: Timestamp, memory: &Memory, record: &DisruptionRecord) -> Option<String> {
    let unsure = at.duration_since(listed) < READ_TO_WRITE;
    let known = unsure || memory.knows(&record.approval);
    (!known).then(|| {
        format!(
            "the record names an approval that was never given: {} of {}",
            record.approval.version, record.approval.since
        )
    })
}

/// Whether the write did something to the Node, beyond writing the record.
fn acts(old: Option<&DisruptionRecord>, new: &DisruptionRecord) -> bool {
    let was = |done: fn(&DisruptionRecord) -> bool| old.is_some_and(done);
    (new.cordoned && !was(|record| record.cordoned))
        || (new.excluded && !was(|record| record.excluded))
        || (new.drain_began.is_some() && old.and_then(|old| old.drain_began) != new.drain_began)
}

/// What is wrong with an act under a record.
fn act(
    at: Timestamp,
    memory: &mut Memory,
    owned: bool,
    (before, after): (&NodeFacts, &NodeFacts),
    record: &DisruptionRecord,
) -> Option<String> {
    let what = if after.unschedulable && !before.unschedulable { "cordoned" } else { "disrupted" };
    if !owned {
        return Some(format!("{what} without a shadow of this Node"));
    }
    if !memory.approval_was_there(at) {
        return Some(format!(
            "{what} under an approval that was gone: {} of {}",
            record.approval.version, record.approval.since
        ));
    }
    let expiry = memory.expiry(&record.approval);
    let begun = memory.begun.as_mut()?;
    let first = !std::mem::replace(&mut begun.acted, true);
    let written = written(&after.managers, at);
    let late = expiry.filter(|expiry| first && written > *expiry)?;
    Some(format!("{what} at {written}, when the approval had expired: {late}"))
}

/// What is wrong with a write of a Node that carries no record: the operator has no business there.
fn unrecorded(before: &NodeFacts, after: &NodeFacts) -> Option<String> {
    let label = format!("f:{EXCLUDE_FROM_LOAD_BALANCERS_LABEL}");
    let cordoned = after.unschedulable && !before.unschedulable && is_operators(after, &["f:spec", "f:unschedulable"]);
    let excluded = after.exclusion().is_some()
        && before.exclusion() != after.exclusion()
        && is_operators(after, &["f:metadata", "f:labels", &label]);
    let what = if cordoned { "cordoned" } else { "taken out of the load balancers" };
    // A Node whose record this very write removes is being restored, which has a rule of its own.
    ((cordoned || excluded) && !before.has_record()).then(|| format!("{what} by the operator without a record"))
}

/// Whether the field belongs to one of the operator's field managers.
fn is_operators(node: &NodeFacts, path: &[&str]) -> bool {
    let ours = [Some(APISERVER_FIELD_MANAGER), Some(CONTROLLER_FIELD_MANAGER)];
    let mut entries = node.managers.iter().filter(|entry| ours.contains(&entry.manager.as_deref()));
    entries.any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.and_then(|fields| path.iter().try_fold(fields, |fields, key| fields.get(key))).is_some()
    })
}

#[cfg(test)]
mod tests {
    use api::{ApprovalId, DisruptionRecord};
    use serde_json::json;

    use crate::observer::breach::Rule;
    use crate::observer::samples::{World, by_the_apiserver, new_version};

    fn with_approval() -> World {
        let mut world = World::new(&["a"], json!(1));
        world.start("a").approval("a").after(1);
        world
    }

    #[test]
    fn a_disruption_under_its_approval_is_right() {
        with_approval().record("a").cordon("a").clean();
    }

    #[test]
    fn a_record_must_name_an_approval_that_was_given() {
        let mut world = with_approval();
        let record = world.first_record("a");
        let approval = ApprovalId { version: new_version(), since: record.began };
        world.node("a", |node| node.record = Ok(Some(DisruptionRecord { approval, ..record })));
        world.breach(Rule::Beginning, "never given");
    }

    #[test]
    fn a_record_that_came_too_late_for_its_approval_is_right_as_long_as_nothing_is_done() {
        let mut world = with_approval();
        let record = world.first_record("a");
        world.start("a").after(5).node("a", |node| node.record = Ok(Some(record))).clean();
        world.cordon("a").breach(Rule::Beginning, "under an approval that was gone");
    }

    #[test]
    fn an_approval_that_was_there_between_the_record_and_the_act_is_enough() {
        with_approval().record("a").start("a").after_millis(500).cordon("a").clean();
        with_approval().record("a").start("a").after(3).cordon("a").breach(Rule::Beginning, "gone");
        with_approval().record("a").idle("a").after(3).cordon("a").breach(Rule::Beginning, "gone");
    }

    #[test]
    fn an_approval_that_was_withdrawn_before_the_record_is_none_however_short_ago() {
        let mut world = with_approval();
        let record = world.first_record("a");
        world.start("a").node("a", |node| node.record = Ok(Some(record))).cordon("a");
        world.breach(Rule::Beginning, "gone");
    }

    #[test]
    fn a_disruption_begins_before_its_approval_expires_and_may_go_on_after() {
        with_approval().after(290).record("a").cordon("a").clean();
        with_approval().after(310).record("a").cordon("a").breach(Rule::Beginning, "expired");
        let mut excluded = with_approval();
        excluded.record("a").node("a", |node| node.record.as_mut().unwrap().as_mut().unwrap().excluded = true);
        excluded.after(400).cordon("a").clean();
    }

    #[test]
    fn a_node_without_a_shadow_of_its_own_is_not_disrupted() {
        let mut world = with_approval();
        world.shadow("a", |shadow| shadow.node.uid = "another".to_owned()).record("a").cordon("a");
        world.breach(Rule::Beginning, "without a shadow");
    }

    #[test]
    fn a_cordon_without_a_record_is_an_administrators_or_a_breach() {
        with_approval().node("a", |node| node.unschedulable = true).clean();
        let ours = |node: &mut super::NodeFacts| (node.unschedulable, node.managers) = (true, by_the_apiserver());
        with_approval().node("a", ours).breach(Rule::Beginning, "without a record");
    }
}
