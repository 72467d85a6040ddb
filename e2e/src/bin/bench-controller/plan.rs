//! How long a decision takes, at sizes that show how it grows.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use controller::check::check;
use controller::plan::plan;
use controller::snapshot::{Objects, Parsed, Snapshot};
use controller::status::statuses;
use jiff::Timestamp;
use serde_json::json;

use crate::fleet;

const SIZES: [usize; 4] = [100, 1_000, 5_000, 20_000];
/// Many ticks, so that one does not matter.
const LONG_ENOUGH: Duration = Duration::from_millis(400);

pub(crate) fn print() -> anyhow::Result<()> {
    println!("\nplan(), processor time; half of the nodes outdated, 10 % may be in flight");
    println!(
        "{:>8} {:>12} {:>12} {:>14} {:>14} {:>12}",
        "nodes", "plan", "check", "first snapshot", "next snapshot", "statuses"
    );
    for size in SIZES {
        let objects = fleet::objects(size, &json!({"nodeSelector": {}, "maxConcurrentUpdates": "10%"}))?;
        let ready: BTreeSet<_> = (0..size).map(fleet::name).collect();
        let objects = Objects {
            nodes: objects.nodes.iter().collect(),
            shadows: objects.shadows.iter().collect(),
            policies: objects.policies.iter().collect(),
            agents_ready: ready,
        };
        let now = Timestamp::UNIX_EPOCH;
        let snapshot = Snapshot::build(now, &objects);
        let planned = plan(&snapshot);
        let mut parsed = Parsed::default();
        parsed.snapshot(now, &objects);
        println!(
            "{size:>8} {:>12?} {:>12?} {:>14?} {:>14?} {:>12?}   {} starts",
            mean(|| plan(&snapshot))?,
            mean(|| check(&snapshot, &planned))?,
            mean(|| Snapshot::build(now, &objects))?,
            mean(|| parsed.snapshot(now, &objects))?,
            mean(|| statuses(&snapshot, &planned, &[]))?,
            planned.actions.len(),
        );
    }
    Ok(())
}

/// Time on the processor for one run, so that whatever else a machine does is not counted: the mean of as many runs as fit.
fn mean<T>(mut run: impl FnMut() -> T) -> anyhow::Result<Duration> {
    black_box(run());
    let began = on_processor()?;
    for runs in 1.. {
        black_box(run());
        let took = on_processor()?.saturating_sub(began);
        if took > LONG_ENOUGH {
            return Ok(took / runs);
        }
    }
    Ok(Duration::ZERO)
}

/// How long this thread was on a processor until now, to within a tick of the kernel.
fn on_processor() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = stat.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}
