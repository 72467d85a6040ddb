//! What is counted. No label takes a value that a caller chooses.

use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use crate::cluster::ClusterError;
use crate::drain::Answer;
use crate::identity::NotIdentified;
use crate::node::Unattended;

/// Upper bounds of drain times: from what a node of stateless pods takes to a day of waiting for a budget, in seconds.
const DRAIN_SECONDS: [f64; 12] = [2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0];

/// The apiserver's own metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    reviews: IntCounterVec,
    not_identified: IntCounterVec,
    evictions: IntCounterVec,
    drains: IntGauge,
    waiting: IntGauge,
    blocked: IntGauge,
    drain_seconds: HistogramVec,
    restored: IntCounterVec,
}

/// One thing under way, counted until dropped.
#[derive(Debug)]
pub struct UnderWay(IntGauge);

impl UnderWay {
    fn count(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A number of things of one caller, which is part of a gauge until dropped.
#[derive(Debug)]
pub struct Level {
    gauge: IntGauge,
    part: i64,
}

impl Level {
    /// The number is another now.
    pub fn set(&mut self, number: usize) {
        let part = i64::try_from(number).unwrap_or(i64::MAX);
        self.gauge.add(part - self.part);
        self.part = part;
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.gauge.sub(self.part);
    }
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let drain_seconds = HistogramVec::new(
            HistogramOpts::new(
                "brupop_apiserver_drain_duration_seconds",
                "How long drains took from the cordon on, over all their requests, by how they ended.",
            )
            .buckets(DRAIN_SECONDS.to_vec()),
            &["outcome"],
        )?;
        registry.register(Box::new(drain_seconds.clone()))?;
        let metrics = Self {
            requests: counters(
                "brupop_apiserver_requests_total",
                "Requests by route and status code.",
                &["route", "code"],
            )?,
            reviews: counters("brupop_apiserver_token_reviews_total", "TokenReviews by outcome.", &["outcome"])?,
            not_identified: counters(
                "brupop_apiserver_unauthenticated_requests_total",
                "Requests of which it was not found out who is calling, by reason.",
                &["reason"],
            )?,
            evictions: counters("brupop_apiserver_evictions_total", "Evictions by the API's answer.", &["answer"])?,
            drains: gauge("brupop_apiserver_drains", "Drains under way.")?,
            waiting: gauge("brupop_apiserver_waiting_reads", "Callers waiting for their shadow to change.")?,
            blocked: gauge(
                "brupop_apiserver_drain_blocked_pods",
                "Pods whose eviction waits for a PodDisruptionBudget.",
            )?,
            restored: counters(
                "brupop_apiserver_unattended_restores_total",
                "Nodes that were restored without an agent, by why.",
                &["why"],
            )?,
            drain_seconds,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Has every word a series, so that the first of its kind is an increase.
    fn begin_at_zero(&self) {
        for word in Answer::WORDS {
            self.evictions.with_label_values(&[word]);
        }
        for outcome in ["authenticated", "unknown", "failed"] {
            self.reviews.with_label_values(&[outcome]);
        }
        for reason in NotIdentified::WORDS {
            self.not_identified.with_label_values(&[reason]);
        }
        for why in Unattended::WORDS {
            self.restored.with_label_values(&[why]);
        }
        for outcome in ["drained", "aborted"] {
            self.drain_seconds.with_label_values(&[outcome]);
        }
    }

    /// A request was answered. `route` is one of the routes there are.
    pub fn answered(&self, route: &'static str, code: u16) {
        self.requests.with_label_values(&[route, &code.to_string()]).inc();
    }

    /// A review was had, or not.
    pub fn reviewed(&self, review: &Result<TokenReviewStatus, ClusterError>) {
        let outcome = match review {
            Ok(status) if status.authenticated == Some(true) => "authenticated",
            Ok(_) => "unknown",
            Err(_) => "failed",
        };
        self.reviews.with_label_values(&[outcome]).inc();
    }

    /// It was not found out who is calling.
    pub fn not_identified(&self, not: &NotIdentified) {
        self.not_identified.with_label_values(&[not.word()]).inc();
    }

    /// An eviction was answered.
    pub fn evicted(&self, answer: &Answer) {
        self.evictions.with_label_values(&[answer.as_str()]).inc();
    }

    /// A drain is under way until this is dropped.
    #[must_use]
    pub fn drain(&self) -> UnderWay {
        UnderWay::count(&self.drains)
    }

    /// How many pods of one drain wait for a budget.
    #[must_use]
    pub fn blocked_pods(&self) -> Level {
        Level { gauge: self.blocked.clone(), part: 0 }
    }

    /// A drain has ended.
    pub fn drain_ended(&self, drained: bool, seconds: f64) {
        let outcome = if drained { "drained" } else { "aborted" };
        self.drain_seconds.with_label_values(&[outcome]).observe(seconds);
    }

    /// A node was restored without an agent.
    pub fn restored(&self, why: Unattended) {
        self.restored.with_label_values(&[why.as_str()]).inc();
    }

    /// A caller waits until this is dropped.
    #[must_use]
    pub fn waiting(&self) -> UnderWay {
        UnderWay::count(&self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_documentation_lists_what_is_exported() {
        let registry = Registry::new();
        Metrics::register(&registry).unwrap().answered("other", 404);
        let exported: BTreeSet<_> = registry.gather().iter().map(|family| family.name().to_owned()).collect();
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md")).unwrap();
        let (_, section) = page.split_once("## Apiserver\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|row| row.strip_prefix("| `")?.split(['`', '{']).next());
        let documented = rows.filter(|name| name.starts_with("brupop_apiserver_")).map(str::to_owned).collect();
        assert_eq!(exported, documented);
        let missing: Vec<_> =
            NotIdentified::WORDS.into_iter().filter(|word| !section.contains(&format!("`{word}`"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
