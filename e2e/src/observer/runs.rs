//! Since when a node runs what it runs.

use std::collections::BTreeMap;

use api::State;
use api::shadow::Observed;
use jiff::Timestamp;
use semver::Version;

/// The versions that a node has come to, each with since when it has run it or a newer one.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(BTreeMap<Version, Timestamp>);

impl Runs {
    /// Takes note of what the agent reports. A node runs a version once nothing is under way on it; whether it is healthy is not
    /// looked at, so that it runs it for longer here than for the controller.
    pub(super) fn note(&mut self, since: Timestamp, report: &Observed) {
        let runs = &report.current_version;
        self.0.retain(|version, _| version <= runs);
        if matches!(report.state, State::Idle | State::MonitoringUpdate) {
            self.0.entry(runs.clone()).or_insert(since);
        }
    }

    /// Since when it has run `version` or a newer one.
    pub(super) fn since(&self, version: &Version) -> Option<Timestamp> {
        self.0.range(version..).map(|(_, since)| *since).min()
    }
}
