//! What the webhook counts.

use prometheus::{IntCounterVec, Opts, Registry};

/// What the webhook counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    reviews: IntCounterVec,
}

impl Metrics {
    /// Registers `brupop_webhook_admission_reviews_total` with the label `outcome` (`allowed`, `refused`, `malformed`, `unjudged`).
    ///
    /// # Errors
    /// When it is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Admission reviews of UpdatePolicies, by what was answered.";
        let reviews = IntCounterVec::new(Opts::new("brupop_webhook_admission_reviews_total", help), &["outcome"])?;
        for outcome in ["allowed", "refused", "malformed", "unjudged"] {
            reviews.with_label_values(&[outcome]);
        }
        registry.register(Box::new(reviews.clone()))?;
        Ok(Self { reviews })
    }

    pub(crate) fn count(&self, outcome: &'static str) {
        self.reviews.with_label_values(&[outcome]).inc();
    }
}
