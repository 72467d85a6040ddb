//! How many nodes a policy has out, held against its limits.

use std::collections::BTreeSet;

use api::{
    State, names,
    shadow::{Shadow, Verdict},
};
use controller::action::Action;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;

use super::{Breach, Observer};
use crate::{process::Seen, sight::Sight, world::World};

impl Observer {
    pub(super) fn counts(&mut self, world: &World, sight: &Sight<'_>, of: (&str, bool, Seen), action: &Action) {
        let (policy, disrupts, seen) = of;
        let what = |limit: &str, out: &[&Node]| {
            let names: Vec<_> = out.iter().map(|node| node.name_any()).collect();
            format!("{:?} of {} under {policy} with {limit}, out: {names:?}", action.verb, action.node)
        };
        let nodes = world.nodes.rows.values().map(AsRef::as_ref);
        let is_out = |node: &&Node| counts(world, sight, node, (policy, disrupts, seen), &action.node);
        let out: Vec<&Node> = nodes.clone().filter(is_out).collect();
        let most = sight.limit(policy, "maxConcurrentUpdates").unwrap_or(0);
        if out.len() > most {
            let breach = if disrupts { Breach::Disrupted } else { Breach::InFlight };
            self.breach(world, breach, &what(&format!("limit {most}"), &out));
        }
        let unavailable: Vec<&Node> = nodes.filter(|node| is_out(node) || sight.is_down(node, policy)).collect();
        let most = sight.limit(policy, "maxUnavailable").unwrap_or(usize::MAX);
        if unavailable.len() > most {
            self.breach(world, Breach::Unavailable, &what(&format!("at most {most:?} unavailable"), &unavailable));
        }
        let zones: BTreeSet<_> = out.iter().map(|node| &node.labels()["zone"]).collect();
        if zones.len() > 1 && sight.spec(policy).is_some_and(|spec| spec["topologyKey"] == "zone") {
            self.breach(world, Breach::Topology, &what("one zone at a time", &out));
        }
    }
}

/// Whether a node counts for the policy. One that something outside has just brought back counts only if the plan could know.
fn counts(
    world: &World,
    sight: &Sight<'_>,
    node: &Node,
    (policy, disrupted, seen): (&str, bool, Seen),
    acted_on: &str,
) -> bool {
    let name = node.name_any();
    if name == acted_on {
        return true;
    }
    if world.flips.get(&name).is_some_and(|(nodes, agents)| *nodes > seen.nodes || *agents > seen.agents) {
        return false;
    }
    let marked = world.record(&name).is_some();
    let managed = node.labels().contains_key(names::UPDATER_INTERFACE_LABEL);
    let uid = node.uid();
    let shadow = world.shadow(&name).filter(|shadow| Some(&shadow.node.uid) == uid.as_ref());
    let Some(shadow) = shadow else { return marked && managed && is_of(sight, node, None, policy) };
    let shown = sight.node(&name).filter(|shown| shown.uid() == uid).unwrap_or(node);
    if is_out_for_a_failure(world, shown, &shadow) {
        return false;
    }
    let asked = shadow.desired.state;
    let ours = shadow.observed.as_ref().is_some_and(|report| report.agent_version.is_some());
    let silent = ours && !world.agents.rows.contains_key(&name);
    let out = if disrupted {
        asked == State::RebootedIntoUpdate
    } else {
        let reported = shadow.observed.as_ref().is_some_and(|report| report.state != State::Idle);
        asked != State::Idle || (reported && !silent)
    };
    // A node that was taken out of the operator's hands counts by its marks alone: nothing can begin on it.
    (marked || (managed && out)) && is_of(sight, node, Some(&shadow), policy)
}

/// Whether a node was the policy's, or began under it.
fn is_of(sight: &Sight<'_>, node: &Node, shadow: Option<&Shadow>, policy: &str) -> bool {
    let shown = sight.node(&node.name_any()).filter(|shown| shown.uid() == node.uid());
    sight.owner(shown.unwrap_or(node)) == Some(policy)
        || shadow.is_some_and(|shadow| shadow.desired.policy.as_deref() == Some(policy))
}

/// Whether the node has failed on what it is asked for, or on what is marked on it, and nobody has acknowledged that, as far as the
/// plan could know.
fn is_out_for_a_failure(world: &World, node: &Node, shadow: &Shadow) -> bool {
    let Some(failed) = shadow.observed.as_ref().and_then(|report| report.failed.as_ref()) else { return false };
    let about = match shadow.desired.state {
        State::RebootedIntoUpdate => shadow.desired.version.clone(),
        State::Idle => world.record(&node.name_any()).map(|record| record.approval.version),
        _ => None,
    };
    let acknowledged = node.annotations().get(names::FAILURE_ACKNOWLEDGED_ANNOTATION);
    failed.kind != Verdict::Unknown
        && about.as_ref() == Some(&failed.version)
        && acknowledged != Some(&failed.version.to_string())
}
