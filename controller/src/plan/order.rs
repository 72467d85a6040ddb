//! Who goes first. The order is total and explained by data a person can look up: what somebody asked for now, then fewest
//! failures, then the oldest version, then the topology value, then the name. What is unfinished goes before all that: its place
//! is counted before anybody starts, and approvals are given before starts.

use semver::Version;

use super::node_view::NodeView;
use super::rules::Rules;
use super::topology;

/// The key that nodes are sorted by; the smallest goes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank<'a> {
    not_asked_for_now: bool,
    failures: u32,
    version: Option<&'a Version>,
    topology: Option<Option<&'a str>>,
    /// The node's position, in the order of names.
    at: usize,
}

/// The rank of the node at `at`, which would take `version`.
pub(super) fn rank<'a>(rules: &Rules<'a>, node: &NodeView<'a>, at: usize, version: &Version) -> Rank<'a> {
    Rank {
        not_asked_for_now: node.update_now != Some(version),
        failures: node.failures,
        version: rules.offer(node).map(|offer| offer.current),
        topology: node.owner.policy().and_then(|policy| topology::value(policy, node.node)),
        at,
    }
}

/// The positions of the nodes that were ranked, first in order first.
pub(super) fn in_order<'a>(ranks: impl IntoIterator<Item = Rank<'a>>) -> Vec<usize> {
    let mut ranks: Vec<_> = ranks.into_iter().collect();
    ranks.sort();
    ranks.into_iter().map(|rank| rank.at).collect()
}
