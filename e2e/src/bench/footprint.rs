//! What a process takes of its machine, as the kernel counts it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use crate::controlplane::Process;

const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// The largest values seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Resident memory, bytes.
    pub(super) resident: u64,
    /// Of which nothing else could give back: heap and stacks, bytes.
    pub(super) anonymous: u64,
    /// Threads.
    pub(super) threads: u64,
    /// Whether a process was spawned: one is there, or one that has ended has left page faults behind.
    pub(super) spawned: bool,
}

impl Footprint {
    fn join(self, other: Self) -> Self {
        Self {
            resident: self.resident.max(other.resident),
            anonymous: self.anonymous.max(other.anonymous),
            threads: self.threads.max(other.threads),
            spawned: self.spawned || other.spawned,
        }
    }
}

/// Watches a process across restarts until dropped.
pub(super) struct Sampler {
    seen: Arc<Mutex<Footprint>>,
    _task: AbortOnDropHandle<()>,
}

impl Sampler {
    pub(super) fn start(process: Process) -> Self {
        let seen = Arc::new(Mutex::new(Footprint::default()));
        let task = tokio::spawn(sample(process, seen.clone()));
        Self { seen, _task: AbortOnDropHandle::new(task) }
    }

    /// The largest values since the last call.
    pub(super) fn take(&self) -> Footprint {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn sample(process: Process, seen: Arc<Mutex<Footprint>>) {
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(now) = look(process.pid()) {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = seen.join(now);
        }
    }
}

fn look(pid: u32) -> Option<Footprint> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let children = read(&format!("task/{pid}/children")).unwrap_or_default();
    footprint(&read("status")?, &read("stat")?, &children)
}

fn footprint(status: &str, stat: &str, children: &str) -> Option<Footprint> {
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()
    };
    // The name in parentheses may hold anything; `state` is the first field after it, `cminflt` the ninth.
    let faults_of_children: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(8)?.parse().ok()?;
    Some(Footprint {
        resident: field("VmRSS")? << 10,
        anonymous: field("RssAnon")? << 10,
        threads: field("Threads")?,
        spawned: faults_of_children > 0 || !children.trim().is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tagent\nVmRSS:\t    5120 kB\nRssAnon:\t    1024 kB\nThreads:\t3\n";
    const STAT: &str = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0";

    #[test]
    fn the_kernels_words_are_read() {
        let expected = Footprint { resident: 5 << 20, anonymous: 1 << 20, threads: 3, spawned: false };
        assert_eq!(footprint(STATUS, STAT, ""), Some(expected));
        assert_eq!(footprint("Name:\tagent\nState:\tZ\n", STAT, ""), None);
    }

    #[test]
    fn a_child_is_seen_while_it_lives_and_after_it_has_ended() {
        assert!(footprint(STATUS, STAT, "8 ").unwrap().spawned);
        let ended = STAT.replace(" 100 0 0 0 ", " 100 55 0 0 ");
        assert!(footprint(STATUS, &ended, "").unwrap().spawned);
    }

    #[test]
    fn a_real_child_leaves_its_trace() {
        let this = std::process::id();
        std::process::Command::new("true").status().unwrap();
        assert!(look(this).unwrap().spawned);
    }
}
