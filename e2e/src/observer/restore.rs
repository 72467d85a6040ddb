//! Whether a Node was restored to what it had been, and only when that was asked for.
//!
//! What it had been is what the observer saw before the first record, not what the record claims.

use api::State;
use api::shadow::Desired;
use jiff::Timestamp;

use super::breach::{Breach, Rule};
use super::facts::NodeFacts;
use super::memory::{Before, Memory};

/// Takes note of how a Node is before its first record, and of what others do to it while it carries one.
pub(super) fn remember(memory: &mut Memory, before: &NodeFacts, after: &NodeFacts) {
    match (before.has_record(), after.has_record()) {
        (false, true) => memory.before = Some(Before::from(before)),
        // The operator writes the record with whatever else it does: a write that leaves it as it is comes from somebody else.
        (true, true) if before.record == after.record => {
            if let Some(known) = &mut memory.before {
                if before.unschedulable != after.unschedulable {
                    known.cordon_by_others = Some(after.unschedulable);
                }
                if before.exclusion() != after.exclusion() {
                    known.exclusion_by_others = Some(after.exclusion().cloned());
                }
            }
        }
        _ => {}
    }
}

/// Judges a write of a Node that carried a record.
pub(super) fn judge(
    at: Timestamp,
    memory: &mut Memory,
    owned: bool,
    before: &NodeFacts,
    after: &NodeFacts,
) -> Vec<Breach> {
    let early = too_early(at, memory, owned, before, after).map(|message| breach(at, after, &message));
    early.into_iter().chain(restored(at, memory, before, after)).collect()
}

/// Judges how a Node is that carries no record any more.
pub(super) fn restored(at: Timestamp, memory: &mut Memory, before: &NodeFacts, after: &NodeFacts) -> Vec<Breach> {
    if !before.has_record() || after.has_record() {
        return Vec::new();
    }
    let messages = memory.before.take().map(|known| differences(&known, after)).unwrap_or_default();
    messages.iter().map(|message| breach(at, after, message)).collect()
}

fn breach(at: Timestamp, node: &NodeFacts, message: &str) -> Breach {
    let message = format!("node {} {message}", node.name);
    Breach { at, rule: Rule::Restore, objects: vec![format!("node/{}", node.name)], message }
}

/// What is not as it was on a Node whose record is gone.
fn differences(known: &Before, after: &NodeFacts) -> Vec<String> {
    let mut messages = Vec::new();
    if after.unschedulable != known.unschedulable && known.cordon_by_others != Some(after.unschedulable) {
        messages.push(match known.unschedulable {
            true => "was restored uncordoned, and it was cordoned before".to_owned(),
            false => "was restored cordoned, and it was not before".to_owned(),
        });
    }
    let exclusion = after.exclusion().cloned();
    if exclusion != known.exclusion && known.exclusion_by_others.as_ref() != Some(&exclusion) {
        let was = known.exclusion.as_deref().unwrap_or("absent");
        let is = exclusion.as_deref().unwrap_or("absent");
        messages.push(format!("was restored with the load-balancer exclusion {is}, and it was {was} before"));
    }
    messages
}

/// What is wrong when the operator undoes what it did while the node's update goes on.
fn too_early(at: Timestamp, memory: &Memory, owned: bool, before: &NodeFacts, after: &NodeFacts) -> Option<String> {
    let old = before.record()?;
    let (cordoned, excluded) = after.record().map_or((false, false), |new| (new.cordoned, new.excluded));
    let undone = (old.cordoned && !cordoned) || (old.excluded && !excluded);
    let asked = |desired: &Desired| matches!(desired.state, State::Idle | State::MonitoringUpdate);
    let early = undone && owned && after.is_managed() && !memory.was_asked(at, asked);
    early.then(|| "was restored before that was asked for".to_owned())
}

#[cfg(test)]
mod tests {
    use api::names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL as LABEL;
    use serde_json::json;

    use crate::observer::breach::Rule;
    use crate::observer::facts::NodeFacts;
    use crate::observer::samples::World;

    /// A node that was as `before` makes it, is disrupted now, and is to be restored.
    fn to_be_restored(before: fn(&mut NodeFacts)) -> World {
        let mut world = World::new(&["a"], json!(1));
        world.node("a", before).start("a").approval("a").record("a").cordon("a");
        world.node("a", |node| {
            node.labels.insert(LABEL.to_owned(), "true".to_owned());
            node.record.as_mut().unwrap().as_mut().unwrap().excluded = true;
        });
        world.after(60).finish("a").after(3);
        world
    }

    fn gone(unschedulable: bool, exclusion: Option<&'static str>) -> impl FnOnce(&mut NodeFacts) {
        move |node| {
            node.record = Ok(None);
            node.unschedulable = unschedulable;
            node.labels.remove(LABEL);
            node.labels.extend(exclusion.map(|value| (LABEL.to_owned(), value.to_owned())));
        }
    }

    #[test]
    fn a_node_is_restored_to_what_it_was() {
        to_be_restored(|_| ()).node("a", gone(false, None)).clean();
        to_be_restored(|_| ()).node("a", gone(true, None)).breach(Rule::Restore, "cordoned, and it was not");
        to_be_restored(|_| ()).node("a", gone(false, Some("true"))).breach(Rule::Restore, "absent before");
    }

    #[test]
    fn what_an_administrator_had_done_stays() {
        let cordoned: fn(&mut NodeFacts) = |node| node.unschedulable = true;
        to_be_restored(cordoned).node("a", gone(true, None)).clean();
        to_be_restored(cordoned).node("a", gone(false, None)).breach(Rule::Restore, "it was cordoned before");
        let excluded: fn(&mut NodeFacts) = |node| drop(node.labels.insert(LABEL.to_owned(), "x".to_owned()));
        to_be_restored(excluded).node("a", gone(false, Some("x"))).clean();
        to_be_restored(excluded).node("a", gone(false, None)).breach(Rule::Restore, "x before");
    }

    #[test]
    fn what_the_record_claims_is_not_believed() {
        let mut world = to_be_restored(|node| node.unschedulable = true);
        world.node("a", |node| node.record.as_mut().unwrap().as_mut().unwrap().cordoned_before = false);
        world.node("a", gone(false, None)).breach(Rule::Restore, "it was cordoned before");
    }

    #[test]
    fn what_an_administrator_does_meanwhile_may_stay() {
        let mut world = to_be_restored(|node| node.unschedulable = true);
        world.node("a", |node| node.unschedulable = false).node("a", gone(false, None)).clean();
    }

    #[test]
    fn a_node_is_restored_only_when_that_is_asked_for() {
        let early = |withdraw: fn(&mut World) -> &mut World| {
            let mut world = World::new(&["a"], json!(1));
            world.start("a").approval("a").record("a");
            withdraw(&mut world);
            world.after(9).uncordon("a");
            world
        };
        early(|world| world.cordon("a")).breach(Rule::Restore, "before that was asked for");
        early(|world| world.cordon("a").idle("a")).clean();
        // A record under which nothing was done may be removed at any time.
        early(|world| world).clean();
    }

    #[test]
    fn a_node_that_was_restored_while_nothing_was_seen_is_judged_by_how_it_is() {
        let unseen = |unschedulable| {
            let mut world = to_be_restored(|node| node.unschedulable = true);
            world.change_node("a", gone(unschedulable, None));
            world.list();
            world
        };
        unseen(true).clean();
        unseen(false).breach(Rule::Restore, "it was cordoned before");
    }

    #[test]
    fn how_a_node_was_that_carries_a_record_from_the_beginning_is_not_known() {
        let mut world = World::new(&["a"], json!(1));
        world.start("a").approval("a").record("a").cordon("a").finish("a");
        world.list();
        let mut fresh = crate::observer::Judge::new("brupop");
        std::mem::swap(&mut world.judge, &mut fresh);
        world.list();
        world.node("a", gone(true, None)).clean();
    }
}
