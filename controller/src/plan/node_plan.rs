//! What a plan says of each node, for statuses, conditions and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::HoldReason;
use api::shadow::Failed;

use super::booted::Booted;
use super::hold::Hold;
use super::node_view::NodeView;
use super::ownership::Owner;
use super::phase::Phase;
use super::releases::Choice;
use super::rules::Rules;
use crate::snapshot::ShadowFacts;

/// What a plan says of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodePlan {
    /// The policy that applies to it; several when they conflict. Nodes of one policy share it.
    pub owners: Arc<[String]>,
    /// Whether it is in flight.
    pub in_flight: bool,
    /// Whether it runs the version it should.
    pub up_to_date: bool,
    /// Why it does not move.
    pub hold: Option<Hold>,
    /// Whether it has come up, of a node that was to reboot.
    pub booted: Option<Booted>,
    /// The verdict that stands on it.
    pub failed: Option<Box<Failed>>,
}

/// What is said of the managed nodes, by name; `holds` are by position. The views are given away, so that their memory serves.
pub(super) fn node_plans<'a>(
    nodes: Vec<NodeView<'a>>,
    rules: &Rules<'a>,
    holds: impl Iterator<Item = Option<Hold>>,
) -> BTreeMap<String, NodePlan> {
    let mut owners = Owners::default();
    let node_plan = |(node, hold): (NodeView<'a>, _)| {
        let plan = NodePlan {
            owners: owners.of(&node.owner),
            in_flight: node.in_flight,
            up_to_date: node.phase == Phase::Resting && *rules.choice(&node) == Choice::Current,
            hold: unreadable(&node).or(hold),
            booted: node.booted,
            failed: node.failed,
        };
        (node.name.to_owned(), plan)
    };
    nodes.into_iter().zip(holds).filter(|(node, _)| node.managed).map(node_plan).collect()
}

/// That something of the node cannot be read says more than any other reason.
fn unreadable(node: &NodeView<'_>) -> Option<Hold> {
    let unreadable = |message: String| Some(Hold::new(HoldReason::Unreadable, message));
    if let Some(Err(error)) = node.has_record.then_some(&node.node.record) {
        return unreadable(format!("Node {}: {error}", node.name));
    }
    match node.shadow.filter(|_| node.phase == Phase::Unreadable) {
        Some(ShadowFacts::Unreadable { reason, .. }) => unreadable(reason.clone()),
        _ => None,
    }
}

/// The names of the policies that own nodes, once for all nodes that they own.
#[derive(Debug, Default)]
struct Owners<'a> {
    nobody: Arc<[String]>,
    one: BTreeMap<&'a str, Arc<[String]>>,
    /// Thousands of policies may be tied on thousands of nodes, most often the same ones.
    tied: BTreeMap<Vec<&'a str>, Arc<[String]>>,
}

impl<'a> Owners<'a> {
    fn of(&mut self, owner: &Owner<'a>) -> Arc<[String]> {
        match owner {
            Owner::Nobody => self.nobody.clone(),
            Owner::Policy(policy) => {
                let name = &policy.name;
                self.one.entry(name.as_str()).or_insert_with(|| Arc::from([name.clone()])).clone()
            }
            Owner::Tied(policies) => {
                let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
                let owned = || policies.iter().map(|policy| policy.name.clone()).collect();
                self.tied.entry(names).or_insert_with(owned).clone()
            }
        }
    }
}
