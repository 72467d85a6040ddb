//! Who goes first. The order is total and explained by data a person can look up: what somebody asked for now, then fewest
//! failures, then the oldest version, then the topology value, then the name. What is unfinished goes before all that: its place
//! is counted before anybody starts, and gos are given in an earlier step.

use semver::Version;

use super::{situation::Situation, topology};

/// The key that nodes are sorted by; the smallest goes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank<'a> {
    not_asked_for_now: bool,
    failures: u32,
    version: Option<&'a Version>,
    topology: Option<Option<&'a str>>,
    name: &'a str,
}

pub(super) fn rank<'a>(situation: &Situation<'a>, version: &Version) -> Rank<'a> {
    let report = situation.report();
    Rank {
        not_asked_for_now: situation.node.update_now.as_ref() != Some(version),
        failures: report.map_or(0, |report| {
            let aborted = report.failure.as_ref().map_or(0, |failure| failure.attempts);
            report.crash_count.saturating_add(aborted)
        }),
        version: report.map(|report| &report.current_version),
        topology: situation.owner.policy().and_then(|policy| topology::value(policy, situation.node)),
        name: &situation.node.name,
    }
}
