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
    /// The nodes whose agent is one of the original operator.
    pub original: OriginalAgents,
    /// Whether [`super::Fleet::calls`] counts.
    pub count_calls: bool,
    /// Whether the programs are those for release, also where this program is not.
    pub release_programs: bool,
}

/// The nodes of a fleet whose agent is one of the original operator, v1.4.0.
#[derive(Clone, Copy, Debug)]
pub struct OriginalAgents {
    /// How many: the last ones.
    pub nodes: usize,
    /// What `EXCLUDE_FROM_LB_WAIT_TIME_IN_SEC` is for them; 0: no exclusion.
    pub exclude_from_lb_wait: u64,
    /// All their pauses, waits and limits are divided by this. With 1 one update takes more than two minutes.
    pub faster: u32,
}

impl Default for OriginalAgents {
    /// None.
    fn default() -> Self {
        Self { nodes: 0, exclude_from_lb_wait: 0, faster: 20 }
    }
}

impl FleetOptions {
    /// Whether the agent of the node with this number, counted from 1, is one of the original operator.
    pub(super) fn is_original(&self, number: usize) -> bool {
        number + self.original.nodes > self.nodes
    }
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
            original: OriginalAgents::default(),
            count_calls: false,
            release_programs: false,
        }
    }
}
