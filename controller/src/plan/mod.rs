//! What to write now, and why nothing is written for the rest.
//!
//! [`plan`] is a function of one [`Snapshot`]: the same snapshot gives the same plan, and a cluster in which nothing is left
//! to do gives an empty one.
//!
//! ```text
//! view      the facts, and what follows from each node alone: phase, owner, verdict, health gate
//! rules     what is the same for every node: windows, releases, halts
//! decide    the table: what is decided for each node by itself, phase by phase
//! allocate  what there is a limited number of: places to stage an image, approvals
//! ```
//!
//! Where a rule is: what stands in one node's way in `blocking`, what its policy lets it do in `permission`, how many may go on at once
//! in `limits`, when in `window`, which version in `releases`, what counts as healthy in `gate`, who has failed in `verdict`, and what
//! follows for the others in `halt`.

mod agent;
mod allocate;
mod backoff;
mod blocking;
mod booted;
mod deadline;
mod decide;
mod decision;
mod desired;
mod gate;
mod halt;
mod hold;
mod in_flight;
mod limits;
mod node_plan;
mod node_view;
mod offers;
mod order;
mod ownership;
mod permission;
mod phase;
mod releases;
mod rules;
mod topology;
mod unavailable;
mod verdict;
mod view;
mod window;

use std::collections::BTreeMap;

use api::shadow::Desired;
use jiff::Timestamp;
use semver::Version;

use crate::action::{Action, Verb};
use crate::snapshot::{PolicyFacts, ShadowFacts, Snapshot};
use allocate::allocate;
pub use booted::{Booted, CONDITION as BOOTED};
use decide::decide;
use decision::{Decision, Next};
pub use hold::Hold;
pub use in_flight::in_flight;
use limits::Limits;
pub use node_plan::NodePlan;
use node_plan::node_plans;
use node_view::NodeView;
pub use releases::Release;
use rules::Rules;
use view::View;
pub use window::Window;

/// What to write now, and why nothing is written for the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The writes, at most one for each shadow.
    pub actions: Vec<Action>,
    /// What is said of every managed node, by name.
    pub nodes: BTreeMap<String, NodePlan>,
    /// What would start if nothing but the pause were lifted, by policy.
    pub next: BTreeMap<String, Vec<(String, Version)>>,
    /// How many nodes are in flight, by the policies whose limits they count for; nothing where none is.
    pub in_flight: BTreeMap<String, usize>,
    /// The most nodes that may be in flight, by policy; nothing where there is no limit.
    pub limits: BTreeMap<String, usize>,
    /// Whether the schedule is open, by policy; nothing of a policy that cannot be followed.
    pub windows: BTreeMap<String, Window>,
    /// What is known of each version, by policy.
    pub releases: BTreeMap<String, BTreeMap<Version, Release>>,
    /// Which nodes failed on which version, as a sentence, by halted policy.
    pub halted: BTreeMap<String, String>,
    /// When time alone will change the plan.
    pub wake_at: Option<Timestamp>,
}

/// Decides what to write now.
#[must_use]
pub fn plan(snapshot: &Snapshot) -> Plan {
    let mut view = View::of(snapshot);
    let mut limits = Limits::count(&view.nodes);
    let rules = Rules::of(snapshot, &mut view, &limits);
    let View { nodes, orphans, .. } = view;
    let decisions = nodes.iter().map(|node| decide(node, &rules)).collect();
    let (decisions, next) = allocate(&nodes, &rules, &mut limits, decisions);

    let limit = |policy: &PolicyFacts| Some((policy.name.clone(), limits.most_in_flight(policy)?));
    let wake_at = decisions.iter().filter_map(|decision| decision.wake_at).chain(rules.change_at()).min();
    let in_flight = in_flight_by_policy(&nodes);
    let halted = rules.halted();
    let (writes, holds) = parts(decisions);
    let nodes = node_plans(nodes, &rules, holds.into_iter());
    let (windows, releases) = rules.into_parts();
    Plan {
        actions: in_order_of_names(writes, orphans),
        nodes,
        next,
        in_flight,
        limits: snapshot.policies.values().filter_map(limit).collect(),
        windows,
        releases,
        halted,
        wake_at,
    }
}

fn parts(decisions: Vec<Decision<'_>>) -> (Vec<Action>, Vec<Option<Hold>>) {
    let mut writes = Vec::new();
    let holds = decisions.into_iter().map(|decision| {
        if let Next::Write(action) = decision.next {
            writes.push(*action);
        }
        decision.hold
    });
    let holds = holds.collect();
    (writes, holds)
}

/// The writes, and the deletion of the shadows that have no Node any more.
fn in_order_of_names(mut writes: Vec<Action>, orphans: Vec<&ShadowFacts>) -> Vec<Action> {
    let orphans = orphans.into_iter().filter_map(ShadowFacts::readable);
    writes.extend(orphans.map(|shadow| Action::new(Verb::Delete, shadow, Desired::default())));
    writes.sort_by(|one, other| one.node.cmp(&other.node));
    writes
}

fn in_flight_by_policy(nodes: &[NodeView<'_>]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for policy in nodes.iter().filter(|node| node.in_flight).flat_map(NodeView::counts_for) {
        *counted.entry(policy.name.clone()).or_default() += 1;
    }
    counted
}
