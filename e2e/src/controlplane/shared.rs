//! One control plane for several tests, for as long as one of them needs it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Runtime;

/// What tests share: a control plane and what runs on it. It is started by the first test and ends with the last that uses it.
pub struct Shared<S>(Mutex<Weak<Started<S>>>);

/// A client belongs to the runtime it was made in, so that is shared as well.
struct Started<S> {
    /// Before the runtime, so that it is dropped first.
    site: S,
    runtime: Runtime,
}

impl<S> Shared<S> {
    /// Not started yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// Runs a test on it; `start` starts it where no other test has.
    ///
    /// # Panics
    /// When the operating system refuses a runtime, or `start` or the test panic.
    #[expect(clippy::unwrap_used, reason = "it fails a test, as an assertion does")]
    pub fn run(&self, start: impl AsyncFnOnce() -> S, test: impl AsyncFnOnce(&S)) {
        let started = {
            let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            present.upgrade().unwrap_or_else(|| {
                let runtime = Runtime::new().unwrap();
                let site = runtime.block_on(start());
                let started = Arc::new(Started { site, runtime });
                *present = Arc::downgrade(&started);
                started
            })
        };
        started.runtime.block_on(test(&started.site));
    }
}

impl<S> Default for Shared<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn tests_at_a_time_share_one_and_the_next_one_starts_another() {
        let (shared, started) = (Shared::new(), AtomicUsize::new(0));
        let start = async || started.fetch_add(1, Ordering::Relaxed);
        shared.run(start, async |number| {
            // Another test at the same time is another thread.
            let of_another = std::thread::scope(|threads| {
                let another = threads.spawn(|| {
                    let mut seen = None;
                    shared.run(start, async |number| seen = Some(*number));
                    seen
                });
                another.join().unwrap()
            });
            assert_eq!(of_another, Some(*number));
        });
        shared.run(start, async |number| assert_eq!(*number, 1));
    }
}
