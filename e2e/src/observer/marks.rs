//! Whether a disruption began under a go for it.
//!
//! A mark alone disrupts nothing: it is written first, and when the go has been withdrawn by then it is taken back. So what
//! is judged is what is done to the Node under the mark, and of the mark itself only that it names a go that was given.

use api::Marks;
use api::names::{APISERVER_FIELD_MANAGER, CONTROLLER_FIELD_MANAGER, EXCLUDE_FROM_LOAD_BALANCERS_LABEL};
use jiff::{SignedDuration, Timestamp};

use super::breach::{Breach, Rule};
use super::facts::NodeFacts;
use super::memory::Memory;
use super::writes::written;

/// How long ago an apiserver may have read the go that its mark names: the deadline of its write, doubled. For as long after
/// a list a mark may name a go that no watch has shown.
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
    match (before.marks(), after.marks()) {
        (old, Some(new)) => {
            if old.map(|old| &old.go) != Some(&new.go) {
                messages.extend(name(at, listed, memory, new));
                memory.begin(&new.go);
            }
            if acts(old, new) {
                messages.extend(act(at, memory, owned, (before, after), new));
            }
        }
        (_, None) if !after.is_marked() => {
            memory.begun = None;
            messages.extend(unmarked(before, after));
        }
        (_, None) => {}
    }
    let objects = || vec![format!("node/{}", after.name)];
    messages.into_iter().map(|message| Breach { at, rule: Rule::Beginning, objects: objects(), message }).collect()
}

/// What is wrong with a new mark.
fn name(at: Timestamp, listed: Timestamp, memory: &Memory, marks: &Marks) -> Option<String> {
    let unsure = at.duration_since(listed) < READ_TO_WRITE;
    let known = unsure || memory.knows(&marks.go);
    (!known).then(|| format!("the mark names a go that was never given: {} of {}", marks.go.version, marks.go.since))
}

/// Whether the write did something to the Node, beyond marking it.
fn acts(old: Option<&Marks>, new: &Marks) -> bool {
    let was = |done: fn(&Marks) -> bool| old.is_some_and(done);
    (new.cordoned && !was(|marks| marks.cordoned))
        || (new.excluded && !was(|marks| marks.excluded))
        || (new.drain_began.is_some() && old.and_then(|old| old.drain_began) != new.drain_began)
}

/// What is wrong with an act under a mark.
fn act(
    at: Timestamp,
    memory: &mut Memory,
    owned: bool,
    (before, after): (&NodeFacts, &NodeFacts),
    marks: &Marks,
) -> Option<String> {
    let what = if after.unschedulable && !before.unschedulable { "cordoned" } else { "disrupted" };
    if !owned {
        return Some(format!("{what} without a shadow of this Node"));
    }
    if !memory.go_was_there(at) {
        return Some(format!("{what} under a go that was gone: {} of {}", marks.go.version, marks.go.since));
    }
    let expiry = memory.expiry(&marks.go);
    let begun = memory.begun.as_mut()?;
    let first = !std::mem::replace(&mut begun.acted, true);
    let written = written(&after.managers, at);
    let late = expiry.filter(|expiry| first && written > *expiry)?;
    Some(format!("{what} at {written}, when the go had expired: {late}"))
}

/// What is wrong with a write of a Node that is not marked: the operator's fingers on it.
fn unmarked(before: &NodeFacts, after: &NodeFacts) -> Option<String> {
    let label = format!("f:{EXCLUDE_FROM_LOAD_BALANCERS_LABEL}");
    let cordoned = after.unschedulable && !before.unschedulable && is_operators(after, &["f:spec", "f:unschedulable"]);
    let excluded = after.exclusion().is_some()
        && before.exclusion() != after.exclusion()
        && is_operators(after, &["f:metadata", "f:labels", &label]);
    let what = if cordoned { "cordoned" } else { "taken out of the load balancers" };
    // A Node that was marked until this very write is being given back, which has a rule of its own.
    ((cordoned || excluded) && !before.is_marked()).then(|| format!("{what} by the operator without a mark"))
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
    use api::{GoId, Marks};
    use serde_json::json;

    use crate::observer::breach::Rule;
    use crate::observer::samples::{World, by_the_apiserver, new_version};

    fn with_go() -> World {
        let mut world = World::new(&["a"], json!(1));
        world.start("a").go("a").after(1);
        world
    }

    #[test]
    fn a_disruption_under_its_go_is_right() {
        with_go().mark("a").cordon("a").clean();
    }

    #[test]
    fn a_mark_must_name_a_go_that_was_given() {
        let mut world = with_go();
        let marks = world.marks("a");
        let go = GoId { version: new_version(), since: marks.began };
        world.node("a", |node| node.marks = Ok(Some(Marks { go, ..marks })));
        world.breach(Rule::Beginning, "never given");
    }

    #[test]
    fn a_mark_that_came_too_late_for_its_go_is_right_as_long_as_nothing_is_done() {
        let mut world = with_go();
        let marks = world.marks("a");
        world.start("a").after(5).node("a", |node| node.marks = Ok(Some(marks))).clean();
        world.cordon("a").breach(Rule::Beginning, "under a go that was gone");
    }

    #[test]
    fn a_go_that_was_there_between_the_mark_and_the_act_is_enough() {
        with_go().mark("a").start("a").after_millis(500).cordon("a").clean();
        with_go().mark("a").start("a").after(3).cordon("a").breach(Rule::Beginning, "gone");
        with_go().mark("a").idle("a").after(3).cordon("a").breach(Rule::Beginning, "gone");
    }

    #[test]
    fn a_go_that_was_withdrawn_before_the_mark_is_none_however_short_ago() {
        let mut world = with_go();
        let marks = world.marks("a");
        world.start("a").node("a", |node| node.marks = Ok(Some(marks))).cordon("a");
        world.breach(Rule::Beginning, "gone");
    }

    #[test]
    fn a_disruption_begins_before_its_go_expires_and_may_go_on_after() {
        with_go().after(290).mark("a").cordon("a").clean();
        with_go().after(310).mark("a").cordon("a").breach(Rule::Beginning, "expired");
        let mut excluded = with_go();
        excluded.mark("a").node("a", |node| node.marks.as_mut().unwrap().as_mut().unwrap().excluded = true);
        excluded.after(400).cordon("a").clean();
    }

    #[test]
    fn a_node_without_a_shadow_of_its_own_is_not_disrupted() {
        let mut world = with_go();
        world.shadow("a", |shadow| shadow.node.uid = "another".to_owned()).mark("a").cordon("a");
        world.breach(Rule::Beginning, "without a shadow");
    }

    #[test]
    fn a_cordon_without_a_mark_is_an_administrators_or_a_breach() {
        with_go().node("a", |node| node.unschedulable = true).clean();
        let ours = |node: &mut super::NodeFacts| (node.unschedulable, node.managers) = (true, by_the_apiserver());
        with_go().node("a", ours).breach(Rule::Beginning, "without a mark");
    }
}
