//! What a person in front of the terminal has to know.

use std::io::{Write, stderr};
use std::time::{Duration, Instant};

/// Writes a line to standard error, past the test harness: that hides what the `eprintln!` of a test that passes has to say,
/// and five silent minutes look like a hang.
pub(super) fn say(line: &str) {
    // Who closes standard error does not want to know.
    let _ = writeln!(stderr().lock(), "{line}");
}

/// Says how long something has been going on, now and then.
pub(super) struct Progress {
    started: Instant,
    said: Instant,
    every: Duration,
}

impl Progress {
    pub(super) fn new(started: Instant, every: Duration) -> Self {
        Self { started, said: Instant::now(), every }
    }

    /// Says what `text` makes of the time since the start, unless it has just said something.
    pub(super) fn say(&mut self, text: impl FnOnce(String) -> String) {
        if self.said.elapsed() >= self.every {
            self.said = Instant::now();
            say(&text(minutes(self.started.elapsed())));
        }
    }
}

/// `1 min 05 s`.
pub(super) fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(minutes(Duration::from_secs(65)), "1 min 05 s");
    }
}
