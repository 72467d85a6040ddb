//! The one walk over the cluster that a plan makes (decision 0014).

use std::cell::OnceCell;

use api::shadow::Desired;

use super::booted::booted;
use super::in_flight::{has_failed, in_flight};
use super::node_view::NodeView;
use super::offers::Offers;
use super::ownership::owner;
use super::phase::{Phase, phase};
use super::{agent, blocking, verdict};
use crate::snapshot::{NodeFacts, ShadowFacts, Snapshot};

/// What there is to plan for.
#[derive(Debug, Default)]
pub(super) struct View<'a> {
    /// Every node that is managed or still has something of an update about it, in the order of their names.
    pub(super) nodes: Vec<NodeView<'a>>,
    /// What they tell of versions.
    pub(super) offers: Offers<'a>,
    /// The shadows whose Node is gone, or was made again under the same name.
    pub(super) orphans: Vec<&'a ShadowFacts>,
}

impl<'a> View<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mut view = Self { nodes: Vec::with_capacity(snapshot.nodes.len()), ..Self::default() };
        for named in snapshot.by_name() {
            view.orphans.extend(named.orphan);
            if let Some((node, shadow)) = named.node.filter(|(node, shadow)| concerns_us(node, *shadow)) {
                view.nodes.push(node_view(snapshot, node, shadow, &mut view.offers));
            }
        }
        view
    }
}

fn concerns_us(node: &NodeFacts, shadow: Option<&ShadowFacts>) -> bool {
    node.managed || node.has_record() || shadow.is_some()
}

fn node_view<'a>(
    snapshot: &'a Snapshot,
    node: &'a NodeFacts,
    shadow: Option<&'a ShadowFacts>,
    offers: &mut Offers<'a>,
) -> NodeView<'a> {
    let owner = owner(&snapshot.policies, node);
    let readable = shadow.and_then(ShadowFacts::readable);
    let observed = readable.and_then(|shadow| shadow.observed.as_ref());
    let policy = owner.policy().map(|policy| policy.name.as_str());
    let began_under = shadow.into_iter().flat_map(|shadow| shadow.began_under(&snapshot.policies));
    let mut view = NodeView {
        node,
        shadow,
        readable,
        observed,
        name: &node.name,
        managed: node.managed,
        has_record: node.has_record(),
        ready: node.ready,
        cordoned: node.cordoned,
        desired_state: readable.map(|shadow| shadow.desired.state),
        observed_state: observed.map(|observed| observed.state),
        has_default_spec: readable.is_none_or(|shadow| shadow.desired == Desired::default()),
        has_original_agent: observed.is_some_and(agent::is_original),
        may_be_blocked: blocking::may_be_blocked(node, observed),
        failures: observed.map_or(0, agent::failures),
        update_now: node.update_now.as_ref(),
        began_under: began_under.map(|(_, policy)| policy).collect(),
        offer: readable.zip(observed).map(|(shadow, observed)| offers.add(policy, &shadow.desired, observed)),
        owner,
        phase: phase(node, shadow),
        in_flight: in_flight(node, shadow, snapshot.now),
        has_failed: shadow.is_some_and(|shadow| has_failed(node, shadow)),
        booted: booted(node, shadow, snapshot.now),
        failed: None,
        gate: OnceCell::new(),
    };
    view.failed = verdict::current(&view, snapshot).map(Box::new);
    if view.has_failed && view.phase == Phase::Booted && view.gate(snapshot).is_ok() {
        // It is restored, and counts again until it is.
        (view.has_failed, view.in_flight) = (false, true);
    }
    view
}
