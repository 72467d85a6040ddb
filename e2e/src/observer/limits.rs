//! Whether a start or an approval was allowed when it was written.
//!
//! The controller decides on what it has seen, which may be a moment old: it is right when it was right under the policies
//! as they were at some time within [`super::GRACE`], and with the labels that the node had then. What it wrote itself it
//! knows at once, so the other nodes are counted as they are.

use std::collections::BTreeMap;

use api::shadow::Desired;
use api::{Policy, Shadow};
use jiff::{SignedDuration, Timestamp};

use super::breach::{Breach, Rule};
use super::cluster::{Cluster, TrackedNode};
use super::facts::ShadowFacts;
use super::memory::Memory;
use super::owner::owner;
use super::spec_change::{SpecChange, spec_change};
use super::views::{View, within_grace};
use super::{GRACE, in_flight, versions, windows};

/// The furthest ahead that an approval may expire.
const FURTHEST_EXPIRY: SignedDuration = SignedDuration::from_mins(10);

/// What is wrong, and with which policy.
type Wrong = (Rule, Option<String>, String);

/// Judges a write of a shadow's spec. `cluster` is as it was after the write, `memory` as before it.
pub(super) fn judge(
    at: Timestamp,
    cluster: &Cluster,
    memory: &Memory,
    (before, written): (&Desired, &ShadowFacts),
) -> Option<Breach> {
    let shadow = written.readable()?;
    let after = &shadow.desired;
    let change = spec_change(before, after)?;
    let node = &written.node;
    if change != SpecChange::Start && goes_on(at, cluster, memory, node, after) {
        return None;
    }
    let (rule, policy, message) = wrong(at, cluster, node, change, shadow)?;
    let mut objects = vec![format!("node/{node}"), format!("shadow/{}", written.name)];
    objects.extend(policy.map(|policy| format!("policy/{policy}")));
    let what = match change {
        SpecChange::Start => "started",
        SpecChange::Approval => "was approved",
        SpecChange::Renewal => "had its approval renewed",
    };
    Some(Breach { at, rule, objects, message: format!("node {node} {what}: {message}") })
}

/// Whether the disruption under this very approval has begun, or the approval was withdrawn only while the controller looked whether it
/// has.
fn goes_on(at: Timestamp, cluster: &Cluster, memory: &Memory, node: &str, after: &Desired) -> bool {
    let approval = after.approval();
    let record = cluster.nodes.get(node).and_then(|node| node.facts.record());
    let begun = approval.is_some() && record.map(|record| &record.approval) == approval.as_ref();
    begun || is_reinstated(at, memory, after)
}

/// Whether an approval that was there a moment ago, and then was not, is reinstated.
fn is_reinstated(at: Timestamp, memory: &Memory, after: &Desired) -> bool {
    let approval = after.approval();
    approval.is_some()
        && memory.current().and_then(Desired::approval) != approval
        && memory.was_asked(at, |desired| desired.approval() == approval)
}

fn wrong(at: Timestamp, cluster: &Cluster, node: &str, change: SpecChange, shadow: &Shadow) -> Option<Wrong> {
    let Some(record) = cluster.nodes.get(node) else {
        return Some((Rule::Permission, None, "there is no such Node".to_owned()));
    };
    if let Some(message) = held(at, record).or_else(|| expiry(at, change, &shadow.desired)) {
        return Some((Rule::Permission, None, message));
    }
    let mut first = None;
    for view in cluster.views.recent(at) {
        for labels in cluster.labels_of(node, at) {
            match allowed(at, cluster, view, labels, (record, change, shadow)) {
                Ok(()) => return None,
                Err(wrong) => first = first.or(Some(wrong)),
            }
        }
    }
    first.or_else(|| Some((Rule::Permission, None, "there is no policy".to_owned())))
}

fn held(at: Timestamp, record: &TrackedNode) -> Option<String> {
    let since = record.held.filter(|since| !within_grace(*since, at))?;
    let reason = record.facts.hold.as_deref().unwrap_or_default();
    Some(format!("the Node is held since {since}: {reason}"))
}

fn expiry(at: Timestamp, change: SpecChange, after: &Desired) -> Option<String> {
    if change == SpecChange::Start {
        return None;
    }
    let Some(expiry) = after.disrupt_not_after.filter(|_| after.approval().is_some()) else {
        return Some("the approval names no version or time, or never expires".to_owned());
    };
    let ahead = expiry.duration_since(at);
    (ahead > FURTHEST_EXPIRY + GRACE).then(|| format!("the approval expires only at {expiry}"))
}

fn allowed(
    at: Timestamp,
    cluster: &Cluster,
    view: &View,
    labels: &BTreeMap<String, String>,
    (record, change, shadow): (&TrackedNode, SpecChange, &Shadow),
) -> Result<(), Wrong> {
    let (node, after) = (record.facts.name.as_str(), &shadow.desired);
    let refuse = |policy: Option<&str>, message| (Rule::Permission, policy.map(str::to_owned), message);
    let applying = owner(view, labels).map_err(|why| refuse(None, why))?;
    let name = applying.name.as_str();
    if after.policy.as_deref() != Some(name) {
        let named = after.policy.as_deref().unwrap_or("none");
        return Err(refuse(Some(name), format!("it names policy {named}, but {name} applies")));
    }
    let policy = applying.policy.as_ref();
    let policy = policy.map_err(|why| refuse(Some(name), format!("policy {name} is not accepted: {why}")))?;
    if policy.paused {
        return Err(refuse(Some(name), format!("policy {name} is paused")));
    }
    let broken = |rule, message| Err((rule, Some(name.to_owned()), message));
    if let Some(message) = windows::wrong(at, policy, record, change, shadow) {
        return broken(Rule::Window, message);
    }
    let matched = matched(at, cluster, view, name);
    let halted = |version| versions::halted(at, cluster, view, (name, policy, matched), version);
    if let Some(message) = after.version.as_ref().and_then(halted) {
        return broken(Rule::Halt, message);
    }
    let unpromoted = |version| versions::unpromoted(at, cluster, view, applying, version);
    if let Some(message) = after.version.as_ref().filter(|_| change == SpecChange::Start).and_then(unpromoted) {
        return broken(Rule::Promotion, message);
    }
    if change == SpecChange::Renewal {
        return Ok(());
    }
    within_limit(at, cluster, view, (name, policy, matched), (node, change))
        .map_err(|message| (Rule::Limit, Some(name.to_owned()), message))
}

fn within_limit(
    at: Timestamp,
    cluster: &Cluster,
    view: &View,
    (name, policy, matched): (&str, &Policy, usize),
    (node, change): (&str, SpecChange),
) -> Result<(), String> {
    let Some(limit) = policy.max_concurrent_updates.of(matched) else { return Ok(()) };
    let counts = |other: &&TrackedNode| {
        let facts = in_flight::facts(cluster, other, at);
        let counts = if change == SpecChange::Start { facts.is_in_flight() } else { facts.is_disrupted() };
        other.facts.name == node || (counts && counts_for(at, cluster, view, other, name))
    };
    let out: Vec<_> = cluster.nodes.values().filter(counts).map(|other| other.facts.name.as_str()).collect();
    if out.len() <= limit {
        return Ok(());
    }
    let are = if change == SpecChange::Start { "in flight" } else { "disrupted" };
    let (count, nodes) = (out.len(), out.join(", "));
    Err(format!("{count} nodes are {are} under policy {name}, which allows {limit} of {matched}: {nodes}"))
}

/// How many nodes a program may believe the policy to apply to.
fn matched(at: Timestamp, cluster: &Cluster, view: &View, policy: &str) -> usize {
    let is_its = |labels: &BTreeMap<String, String>| owner(view, labels).is_ok_and(|owner| owner.name == policy);
    let believed = |node: &&str| cluster.labels_of(node, at).into_iter().any(is_its);
    cluster.node_names(at).into_iter().filter(believed).count()
}

/// Whether the node counts for the policy: its update was begun under it, or it applies now, and not just since its labels
/// were changed a moment ago.
fn counts_for(at: Timestamp, cluster: &Cluster, view: &View, record: &TrackedNode, policy: &str) -> bool {
    let shadow = cluster.shadow_of(&record.facts).and_then(ShadowFacts::readable);
    let began = shadow.and_then(|shadow| shadow.desired.policy.as_deref()) == Some(policy);
    let applies = || owner(view, &record.facts.labels).is_ok_and(|owner| owner.name == policy);
    began || (!within_grace(record.labelled, at) && applies())
}

#[cfg(test)]
mod tests {
    use api::State;
    use api::names::UPDATER_INTERFACE_LABEL;
    use api::shadow::Verdict;
    use semver::Version;
    use serde_json::json;

    use crate::observer::breach::Rule;
    use crate::observer::samples::{World, new_version};

    fn world(limit: serde_json::Value) -> World {
        World::new(&["a", "b", "c", "d"], limit)
    }

    #[test]
    fn starts_within_the_limit_are_right_and_one_beyond_it_is_not() {
        world(json!(2)).start("a").start("b").clean().start("c").breach(Rule::Limit, "3 nodes are in flight");
        world(json!("50%")).start("a").start("b").clean().start("c").breach(Rule::Limit, "allows 2 of 4: a, b, c");
        world(json!("unlimited")).start("a").start("b").start("c").start("d").clean();
    }

    #[test]
    fn a_place_is_free_only_when_the_node_before_is_wholly_done() {
        let back = |world: &mut World| {
            world.start("a").reports("a", State::StagedAndPerformedUpdate).approval("a").record("a").cordon("a");
            world.reports("a", State::RebootedIntoUpdate).after(60).finish("a").after(1);
        };
        let mut done = world(json!(1));
        back(&mut done);
        done.uncordon("a").idle("a").reports("a", State::Idle).start("b").clean();
        let mut reports = world(json!(1));
        back(&mut reports);
        reports.uncordon("a").idle("a").start("b").breach(Rule::Limit, "a, b");
        let mut recorded = world(json!(1));
        back(&mut recorded);
        recorded.idle("a").reports("a", State::Idle).start("b").breach(Rule::Limit, "a, b");
    }

    #[test]
    fn an_approval_counts_the_nodes_with_an_approval_or_a_record() {
        let mut lowered = world(json!(2));
        lowered.start("a").start("b").after(9).policy("maxConcurrentUpdates", json!(1)).after(9);
        lowered.approval("a").clean();
        lowered.approval("b").breach(Rule::Limit, "2 nodes are disrupted");
    }

    #[test]
    fn a_limit_lowered_a_moment_ago_may_not_be_known_yet() {
        let mut early = world(json!(3));
        early.start("a").after(9).policy("maxConcurrentUpdates", json!(1)).after(1).start("b").clean();
        let mut late = world(json!(3));
        late.start("a").after(9).policy("maxConcurrentUpdates", json!(1)).after(3).start("b");
        late.breach(Rule::Limit, "allows 1");
    }

    #[test]
    fn a_raised_limit_is_in_force_at_once() {
        world(json!(1)).start("a").policy("maxConcurrentUpdates", json!(2)).start("b").clean();
    }

    #[test]
    fn a_failed_node_does_not_count() {
        let failed = |version: Version| {
            let mut world = world(json!(1));
            world.policy("failures", json!({"haltAfter": 2})).after(9);
            world.start("a").approval("a").record("a").cordon("a").reports("a", State::RebootedIntoUpdate);
            world.shadow("a", |shadow| {
                shadow.observed.as_mut().unwrap().failed =
                    Some(api::shadow::Failed { kind: Verdict::Health, version, time: jiff::Timestamp::UNIX_EPOCH });
            });
            world.start("b");
            world
        };
        failed(new_version()).clean();
        failed(Version::new(1, 18, 0)).breach(Rule::Limit, "a, b");
    }

    #[test]
    fn that_a_failed_node_was_restored_a_moment_ago_may_not_be_known_yet() {
        let restored = |seconds| {
            let mut world = world(json!(1));
            world.policy("failures", json!({"haltAfter": 2})).after(9);
            world.start("a").approval("a").record("a").cordon("a").reports("a", State::RebootedIntoUpdate);
            world.shadow("a", |shadow| {
                let (kind, version, time) = (Verdict::Fallback, new_version(), jiff::Timestamp::UNIX_EPOCH);
                shadow.observed.as_mut().unwrap().failed = Some(api::shadow::Failed { kind, version, time });
            });
            world.idle("a").after(9).uncordon("a").after(seconds).start("b");
            world
        };
        restored(1).clean();
        restored(3).breach(Rule::Limit, "a, b");
    }

    #[test]
    fn an_idle_node_with_a_silent_agent_does_not_count() {
        let left = || {
            let mut world = world(json!(1));
            world.reports("a", State::ErrorReset);
            world
        };
        left().start("b").breach(Rule::Limit, "a, b");
        let mut silent = left();
        silent.pod("agent-a", "a", |pod| pod.ready = false).start("b").clean();
        let mut back = left();
        back.pod("agent-a", "a", |pod| pod.ready = false).after(9).pod("agent-a", "a", |pod| pod.ready = true);
        back.after(1).start("b").clean();
        let mut long_back = left();
        long_back.pod("agent-a", "a", |pod| pod.ready = false).after(9).pod("agent-a", "a", |pod| pod.ready = true);
        long_back.after(3).start("b").breach(Rule::Limit, "a, b");
    }

    #[test]
    fn a_shadow_and_a_record_that_cannot_be_read_count() {
        let mut recorded = world(json!(1));
        recorded.node("a", |node| node.record = Err("forged".to_owned())).start("b").breach(Rule::Limit, "a, b");
        let mut unreadable = world(json!(1));
        unreadable.unreadable("a").start("b").breach(Rule::Limit, "a, b");
    }

    #[test]
    fn a_deleted_node_does_not_count() {
        world(json!(1)).start("a").after(9).delete_node("a").start("b").clean();
    }

    #[test]
    fn a_percentage_is_of_the_nodes_that_were_there_a_moment_ago() {
        let shrunk = |seconds| {
            let mut world = world(json!("50%"));
            world.start("a").after(9).delete_node("d").after(seconds).start("b");
            world
        };
        shrunk(1).clean();
        shrunk(3).breach(Rule::Limit, "allows 1 of 3");
    }

    #[test]
    fn nothing_starts_or_is_approved_under_a_paused_policy() {
        let mut world = world(json!(2));
        world.start("a").start("b").after(9).policy("paused", json!(true)).after(1).approval("a").clean();
        world.after(2).approval("b").breach(Rule::Permission, "paused");
    }

    #[test]
    fn an_approval_is_not_renewed_under_a_paused_policy_unless_its_disruption_has_begun() {
        let renew = |begun: bool| {
            let mut world = world(json!(1));
            world.start("a").approval("a");
            if begun {
                world.record("a");
            }
            world.policy("paused", json!(true)).after(30).shadow("a", |shadow| {
                let expiry = shadow.desired.disrupt_not_after.unwrap();
                shadow.desired.disrupt_not_after = Some(expiry + jiff::SignedDuration::from_secs(60));
            });
            world
        };
        renew(true).clean();
        renew(false).breach(Rule::Permission, "had its approval renewed");
    }

    #[test]
    fn an_approval_that_was_withdrawn_a_moment_ago_may_be_reinstated() {
        let again = |seconds| {
            let mut world = world(json!(1));
            world.start("a").approval("a").policy("paused", json!(true)).after(5);
            let approval = world.approval_of("a");
            let desired = |world: &mut World, state| {
                let (since, expiry) = (approval.since, approval.since + jiff::SignedDuration::from_secs(300));
                world.shadow("a", |shadow| {
                    shadow.desired.state = state;
                    shadow.desired.since = Some(since);
                    shadow.desired.disrupt_not_after = Some(expiry);
                });
            };
            desired(&mut world, State::StagedAndPerformedUpdate);
            world.after(seconds);
            desired(&mut world, State::RebootedIntoUpdate);
            world
        };
        again(1).clean();
        again(3).breach(Rule::Permission, "paused");
    }

    #[test]
    fn nothing_starts_without_the_one_policy_that_applies() {
        let after = |edit: fn(&mut World) -> &mut World| {
            let mut world = world(json!(1));
            edit(&mut world);
            world.after(9).start("a");
            world
        };
        after(|world| world).clean();
        after(|world| world.other_policy("lower", -1)).clean();
        after(|world| world.other_policy("twin", 0)).breach(Rule::Permission, "in conflict");
        after(|world| world.other_policy("higher", 1)).breach(Rule::Permission, "but higher applies");
        after(|world| world.remove_policy()).breach(Rule::Permission, "no policy");
        after(|world| world.policy("schedule", json!({"timeZone": "Mars/Base"})))
            .breach(Rule::Permission, "not accepted");
        after(|world| world.policy("nodeSelector", json!({"matchLabels": {"pool": "x"}})))
            .breach(Rule::Permission, "no policy selects");
        after(|world| world.node("a", |node| drop(node.labels.remove(UPDATER_INTERFACE_LABEL))))
            .breach(Rule::Permission, "not managed");
        after(|world| world.node("a", |node| node.hold = Some("mine".to_owned()))).breach(Rule::Permission, "held");
    }

    #[test]
    fn an_approval_expires_within_ten_minutes() {
        world(json!(1)).start("a").approval_for("a", 600).clean();
        world(json!(1)).start("a").approval_for("a", 700).breach(Rule::Permission, "expires only at");
    }
}
