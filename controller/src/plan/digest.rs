//! What steps ask of every node, read once while its facts are at hand (see [`super::survey`]).

use api::{Shadow, State, shadow::Desired};
use semver::Version;

use super::{eligible, has_original_agent, order};
use crate::snapshot::NodeFacts;

/// What steps ask of every node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digest<'a> {
    /// The node's name.
    pub(super) name: &'a str,
    /// Whether it carries the updater interface label.
    pub(super) managed: bool,
    /// Whether the operator has done something to it.
    pub(super) marked: bool,
    /// Whether it is Ready.
    pub(super) ready: bool,
    /// Whether it is cordoned, by whomever.
    pub(super) cordoned: bool,
    /// The state it is asked for.
    pub(super) asked: Option<State>,
    /// The state it reports.
    pub(super) reports: Option<State>,
    /// Whether its order says nothing at all, like that of a node which was never updated.
    pub(super) desires_nothing: bool,
    /// Whether an agent of the original operator serves it.
    pub(super) has_original_agent: bool,
    /// Whether anything about it could stand in the way of a version.
    pub(super) may_be_hindered: bool,
    /// Failures in a row, and drains that did not end.
    pub(super) failures: u32,
    /// The version somebody wants on it first.
    pub(super) update_now: Option<&'a Version>,
}

impl<'a> Digest<'a> {
    /// Of a Node and its shadow, if there is one that can be read.
    pub(super) fn of(node: &'a NodeFacts, shadow: Option<&Shadow>) -> Self {
        let observed = shadow.and_then(|shadow| shadow.observed.as_ref());
        Self {
            name: &node.name,
            managed: node.managed,
            marked: node.has_record(),
            ready: node.ready,
            cordoned: node.cordoned,
            asked: shadow.map(|shadow| shadow.desired.state),
            reports: observed.map(|observed| observed.state),
            desires_nothing: shadow.is_none_or(|shadow| shadow.desired == Desired::default()),
            has_original_agent: observed.is_some_and(has_original_agent),
            may_be_hindered: eligible::may_be_hindered(node, observed),
            failures: observed.map_or(0, order::failures),
            update_now: node.update_now.as_ref(),
        }
    }
}
