//! How many control planes run on this machine at once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use super::lock::Lock;
use super::screen::say;

/// What one control plane takes with a handful of nodes, in bytes: its five servers hold 0.6 GB.
const FOOTPRINT: u64 = 600 * 1024 * 1024;
/// More would wait for processors rather than for memory.
const MOST: u64 = 3;
/// A test may need two at once.
const FEWEST: u64 = 2;
/// A test that holds a slot ends within minutes; a queue of several such tests within this.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
const POLL: Duration = Duration::from_millis(200);

/// The right to run one control plane, shared fairly by all processes of this user. It ends when it is dropped, or its process
/// ends.
#[derive(Debug)]
pub(super) struct Slot {
    _lock: Lock,
}

impl Slot {
    /// Waits until one of the slots under `folder` is free.
    pub(super) async fn take(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let memory = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
        let slots = number_of_slots(total_bytes(&memory).context("/proc/meminfo has no MemTotal")?);
        let deadline = Instant::now() + DEADLINE;
        let mut told = false;
        loop {
            if let Some(lock) = (0..slots).find_map(|n| Lock::try_take(&folder.join(format!("{n}"))).transpose()) {
                return Ok(Self { _lock: lock? });
            }
            if Instant::now() > deadline {
                bail!(
                    "{slots} control planes have been running for {} minutes: no room for another",
                    DEADLINE.as_secs() / 60
                );
            }
            if !told {
                say(&format!("waiting for one of {slots} running control planes to end"));
                told = true;
            }
            sleep(POLL).await;
        }
    }
}

/// At most a quarter of the memory is for control planes: builds, tests and the operator's programs run beside them.
fn number_of_slots(total: u64) -> u64 {
    (total / 4 / FOOTPRINT).clamp(FEWEST, MOST)
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    #[test]
    fn memory_bounds_the_slots() {
        assert_eq!(number_of_slots(2 * GIB), 2);
        assert_eq!(number_of_slots(7 * GIB), 2);
        assert_eq!(number_of_slots(8 * GIB), 3);
        assert_eq!(number_of_slots(64 * GIB), 3);
    }

    #[test]
    fn the_total_is_read_in_kibibytes() {
        assert_eq!(total_bytes("MemTotal:       24576000 kB\nMemFree: 1 kB\n"), Some(24_576_000 * 1024));
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
    }
}
