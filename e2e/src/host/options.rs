//! What makes a host, and what it tells about itself.

use std::path::PathBuf;

use semver::Version;

use super::record::Cause;
use super::repository::{ARCH, VARIANT};
use super::timing::Timings;

/// What makes a host.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Its name, for logs.
    pub name: String,
    /// Folder for its socket and its boot id; made when it is not there.
    pub dir: PathBuf,
    /// Version it runs at the start.
    pub version: Version,
    /// Variant of its image.
    pub variant: String,
    /// Architecture of its image.
    pub arch: String,
    /// Where boot ids, jitter and its place in the waves come from.
    pub seed: u64,
    /// How long things take on it.
    pub timings: Timings,
}

impl HostOptions {
    /// A host of the default variant, architecture and timings.
    #[must_use]
    pub fn new(name: impl Into<String>, dir: impl Into<PathBuf>, version: Version, seed: u64) -> Self {
        Self {
            name: name.into(),
            dir: dir.into(),
            version,
            variant: VARIANT.to_owned(),
            arch: ARCH.to_owned(),
            seed,
            timings: Timings::default(),
        }
    }
}

/// What whoever plays the rest of the node has to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// The host is gone with all that ran on it; so is its socket.
    GoingDown {
        /// Why.
        cause: Cause,
    },
    /// The host is up: the file with the boot id is written and the socket is there.
    Up {
        /// The new boot id.
        boot_id: String,
        /// The running version.
        version: Version,
        /// Why it had gone down.
        cause: Cause,
    },
}

/// A host at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    /// Whether it is up.
    pub up: bool,
    /// Boot id; of the last boot while it is down.
    pub boot_id: String,
    /// Running version; the last while it is down.
    pub version: Version,
}
