//! What the rollout came to.

use std::time::Duration;

use crate::observer::Report;

/// What the rollout came to.
pub(super) struct Summary<'a> {
    makespan: Duration,
    refusals: Option<u64>,
    boots: usize,
    report: &'a Report,
}

impl<'a> Summary<'a> {
    /// `metrics` are the apiserver's, where they are known; `boots` is how often a host came up.
    pub(super) fn new(report: &'a Report, makespan: Duration, metrics: &str, boots: usize) -> Self {
        Self { makespan, refusals: refusals(metrics), boots, report }
    }

    pub(super) fn render(&self) -> String {
        let refusals = self.refusals.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
        let mut lines = vec![
            String::new(),
            format!("makespan             {:.1?}", self.makespan),
            format!("most in flight       {}", self.report.peaks.overall.in_flight),
            format!("most disrupted       {}", self.report.peaks.overall.disrupted),
            format!("reboots              {}", self.boots),
            format!("evictions            {}", self.report.total_evictions()),
            format!("refusals by budgets  {refusals}"),
            format!("breaches             {}", self.report.breaches.len()),
        ];
        lines.extend(self.report.breaches.iter().map(|breach| format!("  {breach}")));
        lines.join("\n")
    }
}

/// How often a PodDisruptionBudget refused an eviction, as the apiserver counts it.
fn refusals(metrics: &str) -> Option<u64> {
    let line = metrics.lines().find(|line| line.starts_with("brupop_apiserver_evictions_total{answer=\"budget\"}"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_from_the_counter() {
        let metrics = "# TYPE brupop_apiserver_evictions_total counter\n\
                       brupop_apiserver_evictions_total{answer=\"accepted\"} 12\n\
                       brupop_apiserver_evictions_total{answer=\"budget\"} 7\n";
        assert_eq!(refusals(metrics), Some(7));
        assert_eq!(refusals(""), None);
    }
}
