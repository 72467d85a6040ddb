//! The one place where a host reads the time.

use jiff::Timestamp;
use tokio::time::Instant;

use super::timing::after;

/// Wall-clock time that moves with tokio's clock, so that a test which pauses that clock pauses its hosts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    wall: Timestamp,
    start: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the edge of the simulated host")]
    pub(super) fn start() -> Self {
        Self { wall: Timestamp::now(), start: Instant::now() }
    }

    pub(super) fn now(&self) -> Timestamp {
        after(self.wall, self.start.elapsed())
    }

    /// When tokio's clock will show `at`.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        let ahead = at.duration_since(self.wall).try_into().unwrap_or_default();
        self.start.checked_add(ahead).unwrap_or(self.start)
    }
}
