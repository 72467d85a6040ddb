//! Who goes first. The order is total and explained by data a person can look up: what somebody asked for now, then fewest
//! failures, then the oldest version, then the topology value, then the name. What is unfinished goes before all that: its place
//! is counted before anybody starts, and gos are given in an earlier step.

use api::shadow::Report;
use semver::Version;

use super::{draft::Draft, topology};

/// The key that nodes are sorted by; the smallest goes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank<'a> {
    not_asked_for_now: bool,
    failures: u32,
    version: Option<&'a Version>,
    topology: Option<Option<&'a str>>,
    /// The node's position, in the order of names.
    pub(super) at: usize,
}

/// The rank of the node at `at`, which would take `version`.
pub(super) fn rank<'a>(draft: &Draft<'a>, at: usize, version: &Version) -> Rank<'a> {
    let situation = &draft.situations[at];
    let policy = situation.owner.policy();
    Rank {
        not_asked_for_now: situation.digest.update_now != Some(version),
        failures: situation.digest.failures,
        version: draft.offer(at).map(|offer| offer.current),
        topology: policy.and_then(|policy| topology::value(policy, situation.node)),
        at,
    }
}

/// Failures in a row, and drains that did not end.
pub(super) fn failures(report: &Report) -> u32 {
    let aborted = report.failure.as_ref().map_or(0, |failure| failure.attempts);
    report.crash_count.saturating_add(aborted)
}
