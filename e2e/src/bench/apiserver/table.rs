//! What is printed.

use std::fmt::Write as _;
use std::time::Duration;

use super::drains::{AFTERWARDS, Both, CALLERS, ENDING, PODS};
use super::polls::Polls;
use super::reports::Reports;
use crate::bench::latency::Latencies;

/// Everything that was measured.
pub(super) struct Figures {
    pub(super) agents: usize,
    pub(super) at_a_time: usize,
    pub(super) busy: Reports,
    pub(super) original: Latencies,
    pub(super) paced: Reports,
    pub(super) polls: Polls,
    pub(super) freed: Both<Duration>,
    pub(super) abandoned: Both<u64>,
}

/// The columns: ours, and the original's way on the same control plane in the same run.
pub(super) fn render(figures: &Figures) -> String {
    let Figures { agents, at_a_time, busy, original, paced, polls, freed, abandoned } = figures;
    let mut table = String::new();
    let mut row = |what: &str, ours: &str, originals: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{what:<62} {ours:>12} {originals:>22}");
    };
    row(&format!("one replica, {agents} agents over TLS"), "apiserver", "the original's way");
    row(&format!("status updates per second, {at_a_time} at a time"), &rate(&busy.latencies), &rate(original));
    row("  half of them within, ms", &millis(&busy.latencies, 50), &millis(original, 50));
    row("  99 of 100 within, ms", &millis(&busy.latencies, 99), &millis(original, 99));
    row("  failed", &busy.latencies.failed.to_string(), &original.failed.to_string());
    row("  TokenReviews per 1,000 requests", &format!("{:.0}", busy.reviews_per_thousand()), "1000");
    row("status updates per second, one each 10 s from every agent", &rate(&paced.latencies), "");
    row("  half of them within, ms", &millis(&paced.latencies, 50), "");
    row("  99 of 100 within, ms", &millis(&paced.latencies, 99), "");
    row("  failed", &paced.latencies.failed.to_string(), "");
    row("  TokenReviews per 1,000 requests", &format!("{:.0}", paced.reviews_per_thousand()), "1000");
    row("resident memory at rest, MiB", &mebibytes(polls.before), "");
    let waiting = format!("resident memory with {} waiting long polls, MiB", polls.waiting);
    row(&waiting, &mebibytes(polls.during), "2 watches each instead");
    row("  processor time while they wait, % of a core", &format!("{:.1}", polls.cpu * 100.0), "");
    let budget = format!("from a freed budget to the last of {PODS} evictions, s");
    row(&budget, &seconds(freed.ours), &seconds(freed.original));
    row(&format!("  (a pod takes {ENDING} to end)"), "", "5 slots, wait included");
    let left = format!("evictions in the {} s after the last of {CALLERS} callers left", AFTERWARDS.as_secs());
    row(&left, &abandoned.ours.to_string(), &abandoned.original.to_string());
    table
}

fn rate(latencies: &Latencies) -> String {
    format!("{:.0}", latencies.per_second())
}

fn millis(latencies: &Latencies, percent: usize) -> String {
    format!("{:.1}", latencies.percentile(percent).as_secs_f64() * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(millis: u64) -> Latencies {
        Latencies::of((0..100).map(|_| Some(Duration::from_millis(millis))), Duration::from_secs(10))
    }

    #[test]
    fn every_figure_stands_beside_the_originals() {
        let reports = |millis| Reports { latencies: latencies(millis), reviews: 5, requests: 100 };
        let table = render(&Figures {
            agents: 1000,
            at_a_time: 64,
            busy: reports(20),
            original: latencies(40),
            paced: reports(10),
            polls: Polls { waiting: 1000, before: 20 << 20, during: 50 << 20, cpu: 0.001 },
            freed: Both { ours: Duration::from_secs(3), original: Duration::from_secs(30) },
            abandoned: Both { ours: 0, original: 300 },
        });
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let printed: Vec<_> = table.lines().map(words).collect();
        for line in [
            "status updates per second, 64 at a time 10 10",
            "99 of 100 within, ms 20.0 40.0",
            "TokenReviews per 1,000 requests 50 1000",
            "resident memory with 1000 waiting long polls, MiB 50.0 2 watches each instead",
            "from a freed budget to the last of 20 evictions, s 3.0 30.0",
            "evictions in the 15 s after the last of 20 callers left 0 300",
        ] {
            assert!(printed.iter().any(|printed| printed == line), "{line}\n{table}");
        }
    }
}
