//! What makes a fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use semver::Version;

use crate::host::Timings;

/// What makes a fleet.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// How many hosts; their nodes are called `node-1`, `node-2` and so on.
    pub nodes: usize,
    /// The version they run at the start.
    pub version: Version,
    /// Labels of the nodes, beside those of every node.
    pub labels: fn(usize) -> BTreeMap<String, String>,
    /// How long things take on the hosts.
    pub timings: Timings,
    /// Where jitter comes from.
    pub seed: u64,
    /// How often agents ask their hosts what they are offered.
    pub check_interval: Duration,
    /// What the programs log.
    pub log_filter: String,
}

impl Default for FleetOptions {
    /// Three hosts that are offered nothing new yet.
    fn default() -> Self {
        Self {
            nodes: 3,
            version: Version::new(1, 50, 0),
            labels: |_| BTreeMap::new(),
            timings: Timings::default(),
            seed: 1,
            check_interval: Duration::from_secs(2),
            log_filter: "info".to_owned(),
        }
    }
}
