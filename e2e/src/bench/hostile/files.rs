//! Descriptors for many connections.

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most that one attack takes: its connections, and as many of those who are honest and of the control plane.
const NEEDED: u64 = 6000;

/// Raises the limit to what the system lets us have: every caller is a connection of this process, and one of the server's.
///
/// # Errors
/// When that is too little.
pub(crate) fn open_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.is_none_or(|most| most >= NEEDED);
    ensure!(enough, "{NEEDED} open files are needed, and this session may have {:?}: see `ulimit -Hn`", limit.maximum);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, all).context("cannot raise the limit of open files")
}
