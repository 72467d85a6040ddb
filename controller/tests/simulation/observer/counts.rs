//! How many nodes a policy has out, held against its limits.

use std::collections::BTreeSet;

use api::in_flight::Facts;
use api::{DisruptionRecord, Shadow, names};
use controller::action::Action;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use semver::Version;

use super::{Breach, Observer};
use crate::plan_view::PlanView;
use crate::process::Seen;
use crate::world::World;

impl Observer {
    pub(super) fn counts(&mut self, world: &World, view: &PlanView<'_>, of: (&str, bool, Seen), action: &Action) {
        let (policy, disrupts, seen) = of;
        let what = |limit: &str, out: &[&Node]| {
            let names: Vec<_> = out.iter().map(|node| node.name_any()).collect();
            format!("{:?} of {} under {policy} with {limit}, out: {names:?}", action.verb, action.node)
        };
        let nodes = world.nodes.rows.values().map(AsRef::as_ref);
        let is_out = |node: &&Node| counts(world, view, node, (policy, disrupts, seen), &action.node);
        let out: Vec<&Node> = nodes.clone().filter(is_out).collect();
        let most = view.limit(policy, "maxConcurrentUpdates").unwrap_or(0);
        if out.len() > most {
            let breach = if disrupts { Breach::Disrupted } else { Breach::InFlight };
            self.breach(world, breach, &what(&format!("limit {most}"), &out));
        }
        let unavailable: Vec<&Node> = nodes.filter(|node| is_out(node) || view.is_down(node, policy)).collect();
        let most = view.limit(policy, "maxUnavailable").unwrap_or(usize::MAX);
        if unavailable.len() > most {
            self.breach(world, Breach::Unavailable, &what(&format!("at most {most:?} unavailable"), &unavailable));
        }
        let zones: BTreeSet<_> = out.iter().map(|node| &node.labels()["zone"]).collect();
        if zones.len() > 1 && view.spec(policy).is_some_and(|spec| spec["topologyKey"] == "zone") {
            self.breach(world, Breach::Topology, &what("one zone at a time", &out));
        }
    }
}

/// Whether a node counts for the policy. One that something outside has just brought back counts only if the plan could know.
fn counts(
    world: &World,
    view: &PlanView<'_>,
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
    let uid = node.uid();
    let shadow = world.shadow(&name).filter(|shadow| Some(&shadow.node.uid) == uid.as_ref());
    let shown = view.node(&name).filter(|shown| shown.uid() == uid).unwrap_or(node);
    let record = world.record(&name);
    let acknowledged = shown.annotations().get(names::FAILURE_ACKNOWLEDGED_ANNOTATION);
    let acknowledged = acknowledged.map(|version| version.parse::<Version>().unwrap());
    let facts = Facts {
        managed: node.labels().contains_key(names::UPDATER_INTERFACE_LABEL),
        record: Ok(record.as_ref()),
        shadow: shadow.as_deref().map(Ok),
        failure_acknowledged: acknowledged.as_ref(),
        agent_ready: world.agents.rows.contains_key(&name),
        now: world.now(),
    };
    let out = if disrupted { facts.is_disrupted() } else { facts.is_in_flight() };
    // The plan may not have known yet that a failed node was restored.
    let had_failed = || {
        let record = DisruptionRecord::decode(shown.metadata.annotations.as_ref()).unwrap();
        Facts { record: Ok(record.as_ref()), ..facts }.has_failed()
    };
    out && !had_failed() && counts_for(world, view, node, shadow.as_deref(), policy)
}

/// Whether a node counts for the policy: it began under it, or the policy applies to it, both now and as the plan saw it. A node that was
/// moved to another policy meanwhile counts for that one.
fn counts_for(world: &World, view: &PlanView<'_>, node: &Node, shadow: Option<&Shadow>, policy: &str) -> bool {
    let shown = view.node(&node.name_any()).filter(|shown| shown.uid() == node.uid());
    let began = shadow.is_some_and(|shadow| shadow.desired.policy.as_deref() == Some(policy));
    began || (view.owner(shown.unwrap_or(node)) == Some(policy) && PlanView::now(world).owner(node) == Some(policy))
}
