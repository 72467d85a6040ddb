//! The halt: once too many of a policy's nodes have failed on a version, no further node starts it.
//!
//! It ends by itself with a newer version, with the recovery or the end of the failed nodes, and when somebody acknowledges.

use std::collections::BTreeMap;

use api::HoldReason;
use semver::Version;

use super::hold::Hold;
use super::node_view::NodeView;
use crate::snapshot::{PolicyFacts, Snapshot};

/// Most failed nodes that are named.
const NAMED: usize = 5;

/// The nodes that have failed, by policy and version.
#[derive(Debug, Default)]
pub(super) struct Failures<'a>(BTreeMap<&'a str, BTreeMap<Version, Vec<&'a str>>>);

impl<'a> Failures<'a> {
    pub(super) fn count(nodes: &[NodeView<'a>]) -> Self {
        let mut failed: BTreeMap<&str, BTreeMap<Version, Vec<&str>>> = BTreeMap::new();
        for node in nodes {
            let Some(verdict) = &node.failed else { continue };
            for policy in node.counts_for() {
                let versions = failed.entry(&policy.name).or_default();
                versions.entry(verdict.version.clone()).or_default().push(node.name);
            }
        }
        Self(failed)
    }

    /// How many of the policy's nodes have failed on `version`.
    pub(super) fn of(&self, policy: &str, version: &Version) -> usize {
        self.0.get(policy).and_then(|versions| versions.get(version)).map_or(0, Vec::len)
    }
}

/// The versions a policy is halted on, with the nodes that have failed on them.
#[derive(Debug, Default)]
pub(super) struct Halts<'a>(BTreeMap<&'a str, BTreeMap<Version, Vec<&'a str>>>);

impl<'a> Halts<'a> {
    /// What follows from the failures. `matched` says how many nodes each policy applies to.
    pub(super) fn of(
        snapshot: &'a Snapshot,
        Failures(mut failed): Failures<'a>,
        matched: impl Fn(&PolicyFacts) -> usize,
    ) -> Self {
        failed.retain(|name, versions| {
            let policy = snapshot.policies.get(*name);
            let most = policy.and_then(|policy| {
                policy.accepted.as_ref().ok().and_then(|accepted| accepted.halt_after.of(matched(policy)))
            });
            versions.retain(|_, nodes| most.is_some_and(|most| nodes.len() >= most));
            !versions.is_empty()
        });
        Self(failed)
    }

    /// Why no further node of the policy may start or be disrupted for `version`.
    pub(super) fn forbid(&self, policy: &str, version: &Version) -> Option<Hold> {
        let nodes = self.0.get(policy)?.get(version)?;
        Some(Hold::new(HoldReason::Halted, format!("policy {policy} is halted: {}", sentence(version, nodes))))
    }

    /// The newest version each policy is halted on and that `stands` says still matters to it, as a sentence.
    pub(super) fn sentences(&self, stands: impl Fn(&str, &Version) -> bool) -> BTreeMap<String, String> {
        let last = |policy: &str, versions: &BTreeMap<Version, Vec<&str>>| {
            let (version, nodes) = versions.iter().rev().find(|(version, _)| stands(policy, version))?;
            Some((policy.to_owned(), sentence(version, nodes)))
        };
        self.0.iter().filter_map(|(policy, versions)| last(policy, versions)).collect()
    }
}

fn sentence(version: &Version, nodes: &[&str]) -> String {
    let more = nodes.len().saturating_sub(NAMED);
    let named = nodes.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("failed on {version}: {named}{and}")
}
