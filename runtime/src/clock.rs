//! The one place that reads the wall clock.

use jiff::Timestamp;

/// The present moment. Only edges call this; decisions take `now` as an argument.
#[expect(clippy::disallowed_methods, reason = "the edge through which every program reads the wall clock")]
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}
