//! Where the nodes stand, for statuses, conditions and metrics.

use std::{collections::BTreeMap, sync::Arc};

use api::{HoldReason, shadow::Failed};

use super::{Hold, booted::Booted, ownership::Owner, phase::Phase, releases::Choice, situation::Situation};
use crate::snapshot::ShadowFacts;

/// Where one node stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
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

/// The standings of the managed nodes, by name; `holds` are by position. The situations are given away, so that their memory serves.
pub(super) fn standings<'a>(
    situations: Vec<Situation<'a>>,
    choices: &[Choice<'_>],
    holds: Vec<Option<Hold>>,
) -> BTreeMap<String, Standing> {
    let mut owners = Owners::default();
    let nodes = situations.into_iter().zip(holds).filter(|(situation, _)| situation.digest.managed);
    let standing = |(situation, hold): (Situation<'a>, _)| {
        let takes = situation.offer.and_then(|offer| choices.get(offer));
        let standing = Standing {
            owners: owners.of(&situation.owner),
            in_flight: situation.in_flight,
            up_to_date: situation.phase == Phase::Resting && takes == Some(&Choice::Current),
            hold: unreadable(&situation).or(hold),
            booted: situation.booted,
            failed: situation.failed,
        };
        (situation.digest.name.to_owned(), standing)
    };
    nodes.map(standing).collect()
}

/// That something of the node cannot be read says more than any other reason.
fn unreadable(situation: &Situation<'_>) -> Option<Hold> {
    let unreadable = |message: String| Some(Hold::new(HoldReason::Unreadable, message));
    if let Some(Err(error)) = situation.digest.marked.then_some(&situation.node.record) {
        return unreadable(format!("Node {}: {error}", situation.digest.name));
    }
    match situation.shadow.filter(|_| situation.phase == Phase::Unreadable) {
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
