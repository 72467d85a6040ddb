//! Everything the next step is decided from, as plain data.

use std::time::Duration;

use api::Shadow;
use jiff::Timestamp;
use semver::Version;

use crate::memory::Memory;
use crate::updates::Updates;

/// The shadow as the apiserver last gave it.
#[derive(Debug, Clone, PartialEq)]
pub enum ShadowReading {
    /// Not asked yet, or not answered.
    Unknown,
    /// There is none.
    Missing,
    /// There is one that cannot be read.
    Unreadable(String),
    /// This one.
    Known(Box<Shadow>),
}

/// The host as it was a moment ago.
#[derive(Debug, Clone, PartialEq)]
pub enum Host {
    /// It gives no answer.
    Away {
        /// Why not.
        why: String,
        /// Whether there is nobody on the socket, as opposed to somebody who does not answer.
        refused: bool,
    },
    /// It answers.
    Up {
        /// The version it runs.
        running: Version,
        /// Its update status.
        updates: Updates,
    },
}

/// Everything the next step is decided from.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The wall clock, for the approval's expiry and for what is reported.
    pub now: Timestamp,
    /// Time since the program began, for everything that is measured.
    pub clock: Duration,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The shadow.
    pub shadow: ShadowReading,
    /// The host.
    pub host: Host,
    /// What this process knows besides. Losing it costs time, never safety.
    pub memory: Memory,
}
