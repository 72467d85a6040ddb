//! What the observer reports in the end.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::breach::Breach;
use super::peaks::Peaks;
use super::timeline::Timeline;

/// A time in which the watches showed nothing: what happened then was not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None` while it lasts.
    pub until: Option<Timestamp>,
    /// Why.
    pub why: String,
}

/// What the observer has seen.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// When everything was listed first; `None` when nothing was ever seen.
    pub since: Option<Timestamp>,
    /// Every breach, in the order they were seen.
    pub breaches: Vec<Breach>,
    /// Breaches beyond those that are kept.
    pub breaches_dropped: u64,
    /// When nothing was seen.
    pub gaps: Vec<Gap>,
    /// Writes that were seen only after later ones had been judged. They are not judged themselves.
    pub late: u64,
    /// The most nodes at a time.
    pub peaks: Peaks,
    /// Pods that left a node because it was drained, by node.
    pub evictions: BTreeMap<String, u64>,
    /// Reboots that agents asked for, by node.
    pub reboots: BTreeMap<String, u64>,
    /// Nodes that still carry a disruption record.
    pub recorded: Vec<String>,
    /// What happened to each node.
    pub timeline: Timeline,
}

impl Report {
    /// All pods that left because of a drain.
    #[must_use]
    pub fn total_evictions(&self) -> u64 {
        self.evictions.values().sum()
    }

    /// The report with what happened to every node.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        for (node, entries) in &self.timeline {
            text.push_str(&format!("{node}\n"));
            entries.iter().for_each(|entry| text.push_str(&format!("  {} {}\n", entry.at, entry.what)));
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Peaks { overall, by_policy, first_start, last_finish } = &self.peaks;
        if let Some((first, last)) = first_start.zip(*last_finish) {
            let seconds = last.duration_since(first).as_secs_f64();
            writeln!(f, "from the first start to the last finish: {seconds:.1} s")?;
        }
        writeln!(f, "most nodes in flight: {}, disrupted: {}", overall.in_flight, overall.disrupted)?;
        for (policy, peak) in by_policy {
            writeln!(f, "  policy {policy}: {} in flight, {} disrupted", peak.in_flight, peak.disrupted)?;
        }
        let reboots: u64 = self.reboots.values().sum();
        writeln!(f, "pods evicted: {}, reboots: {reboots}", self.total_evictions())?;
        if !self.recorded.is_empty() {
            writeln!(f, "still with a disruption record: {}", self.recorded.join(", "))?;
        }
        for gap in &self.gaps {
            let until = gap.until.map_or_else(|| "now".to_owned(), |until| until.to_string());
            writeln!(f, "nothing was seen from {} to {until}: {}", gap.from, gap.why)?;
        }
        if self.late > 0 {
            writeln!(f, "writes that were seen too late to be judged: {}", self.late)?;
        }
        let more = self.breaches_dropped;
        writeln!(f, "breaches: {}", self.breaches.len() as u64 + more)?;
        self.breaches.iter().try_for_each(|breach| writeln!(f, "  {breach}"))
    }
}
