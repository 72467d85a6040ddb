//! No text costs more than its length: every string that a policy, an annotation or an agent's report carries is read, and what
//! it says is evaluated, within a time that nothing but exponential or high polynomial growth can reach.
//!
//! `corpus.json` keeps texts that cost too much once, or that are made to: a beginning, a piece that is repeated, and an end.
//! Each is read in lengths up to one far beyond what the schema lets through, since stored policies and annotations may be older
//! than the schema. [`CAP`] is far above what any of them takes on a busy machine.

#![expect(clippy::unwrap_used, reason = "what tests share fails as tests do")]

mod policy;
mod texts;

use std::time::{Duration, Instant};

/// Longest that one text may take; they take milliseconds, also in a debug build on a busy machine.
pub(crate) const CAP: Duration = Duration::from_secs(60);

/// Runs `work`, and fails when it takes longer than the cap. A time that nothing bounds is seen by whoever waits for the test.
pub(crate) fn within_the_cap<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    let took = started.elapsed();
    assert!(took < CAP, "{what} took {took:?}");
    done
}
