//! When the apiserver was last heard, and whether it is being heard: logged once per change.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::Gauge;
use tokio::time::Instant;

/// How old the last answered exchange may be while the agent counts as heard.
pub const SILENCE: Duration = Duration::from_secs(120);

/// The contact with the apiserver; clones are the same.
#[derive(Clone, Debug)]
pub struct Contact(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    last: Mutex<Option<Instant>>,
    lost: AtomicBool,
    /// Seconds since 1970 of the last answer.
    gauge: Gauge,
}

impl Contact {
    /// No contact yet. `gauge` shows the time of the last answer, in seconds since 1970.
    #[must_use]
    pub fn new(gauge: Gauge) -> Self {
        Self(Arc::new(Inner { last: Mutex::new(None), lost: AtomicBool::new(false), gauge }))
    }

    /// Whether there was an answer within [`SILENCE`].
    #[must_use]
    pub fn is_recent(&self) -> bool {
        let last = *self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < SILENCE)
    }

    pub(crate) fn answered(&self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let seconds = runtime::clock::now().as_second();
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double's 53 bits")]
        self.0.gauge.set(seconds as f64);
        if self.0.lost.swap(false, Ordering::Relaxed) {
            tracing::info!("the apiserver answers again");
        }
    }

    pub(crate) fn lost(&self, error: &dyn fmt::Display) {
        if !self.0.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the apiserver does not answer as it should; trying on");
        }
    }
}
