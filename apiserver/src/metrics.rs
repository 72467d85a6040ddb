//! What is counted. No label takes a value that a caller chooses.

use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::cluster::ClusterError;
use crate::drain::Answer;

/// The apiserver's own metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    reviews: IntCounterVec,
    evictions: IntCounterVec,
    drains: IntGauge,
    waiting: IntGauge,
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
        let metrics = Self {
            requests: counters(
                "brupop_apiserver_requests_total",
                "Requests by route and status code.",
                &["route", "code"],
            )?,
            reviews: counters("brupop_apiserver_token_reviews_total", "TokenReviews by outcome.", &["outcome"])?,
            evictions: counters("brupop_apiserver_evictions_total", "Evictions by the API's answer.", &["answer"])?,
            drains: gauge("brupop_apiserver_drains", "Drains under way.")?,
            waiting: gauge("brupop_apiserver_waiting_reads", "Callers waiting for their shadow to change.")?,
        };
        for word in Answer::WORDS {
            metrics.evictions.with_label_values(&[word]);
        }
        for outcome in ["authenticated", "unknown", "failed"] {
            metrics.reviews.with_label_values(&[outcome]);
        }
        Ok(metrics)
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

    /// An eviction was answered.
    pub fn evicted(&self, answer: &Answer) {
        self.evictions.with_label_values(&[answer.as_str()]).inc();
    }

    /// A drain is under way until this is dropped.
    #[must_use]
    pub fn drain(&self) -> UnderWay {
        UnderWay::count(&self.drains)
    }

    /// A caller waits until this is dropped.
    #[must_use]
    pub fn waiting(&self) -> UnderWay {
        UnderWay::count(&self.waiting)
    }
}
