//! What happened to each node, for people.

use std::collections::{BTreeMap, VecDeque};

use api::shadow::Desired;
use api::{Shadow, State};
use jiff::Timestamp;

use super::facts::NodeFacts;

/// Entries kept of a node; older ones are dropped.
const MOST_ENTRIES: usize = 512;

/// One thing that happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was seen.
    pub at: Timestamp,
    /// What.
    pub what: String,
}

/// What happened to each node, oldest first.
pub type Timeline = BTreeMap<String, VecDeque<Entry>>;

/// Adds what happened to a node.
pub(super) fn add(timeline: &mut Timeline, at: Timestamp, node: &str, what: impl IntoIterator<Item = String>) {
    for what in what {
        let entries = timeline.entry(node.to_owned()).or_default();
        if entries.len() >= MOST_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(Entry { at, what });
    }
}

/// What a write of a Node changed that matters here.
pub(super) fn node_changes(before: &NodeFacts, after: &NodeFacts) -> Vec<String> {
    let mut what = Vec::new();
    let approval = |node: &NodeFacts| node.record().map(|record| record.approval.clone());
    if approval(before) != approval(after) {
        what.push(
            approval(after)
                .map_or_else(|| "record removed".to_owned(), |approval| format!("record for {}", approval.version)),
        );
    }
    for (was, is, yes, no) in [
        (before.unschedulable, after.unschedulable, "cordoned", "uncordoned"),
        (before.exclusion().is_some(), after.exclusion().is_some(), "out of load balancers", "back in load balancers"),
        (before.ready, after.ready, "Ready", "not Ready"),
    ] {
        if was != is {
            what.push(if is { yes } else { no }.to_owned());
        }
    }
    what
}

/// What a write of a shadow changed that matters here.
pub(super) fn shadow_changes(before: Option<&Shadow>, after: &Shadow) -> Vec<String> {
    let mut what = Vec::new();
    let step = |desired: &Desired| (desired.state, desired.version.clone(), desired.since);
    if before.map(|before| step(&before.desired)) != Some(step(&after.desired)) && (before.is_some() || is_busy(after))
    {
        let version = after.desired.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        what.push(format!("asked for {}{version}", after.desired.state.as_str()));
    }
    let Some(report) = &after.observed else { return what };
    let old = before.and_then(|before| before.observed.as_ref());
    if old.map(|old| (old.state, &old.current_version)) != Some((report.state, &report.current_version)) {
        what.push(format!("reports {} in {}", report.state.as_str(), report.current_version));
    }
    if let Some(activity) = report.activity.filter(|activity| old.and_then(|old| old.activity) != Some(*activity)) {
        what.push(format!("{activity:?}"));
    }
    if let Some(failure) = report.failure.as_ref().filter(|new| old.and_then(|old| old.failure.as_ref()) != Some(new)) {
        what.push(format!("failed: {:?} {}", failure.kind, failure.version));
    }
    what
}

fn is_busy(shadow: &Shadow) -> bool {
    shadow.desired.state != State::Idle
}
