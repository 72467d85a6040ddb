//! Where the demo writes: a table that is drawn again in its place on a terminal, plain lines anywhere else.

use std::io::{IsTerminal, Write, stdout};

/// Where the demo writes.
pub(super) struct Screen {
    terminal: bool,
    drawn: usize,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { terminal: stdout().is_terminal(), drawn: 0 }
    }

    /// Whether what was drawn can be drawn over.
    pub(super) const fn redraws(&self) -> bool {
        self.terminal
    }

    /// Writes one line, or several, that stay.
    pub(super) fn line(&mut self, text: &str) {
        self.drawn = 0;
        put(&format!("{text}\n"));
    }

    /// Draws lines in the place of those that were drawn before.
    pub(super) fn draw(&mut self, lines: &[String]) {
        // Up to the first of the old lines, and clear from there to the end of the screen.
        let back = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
        put(&format!("{back}{}\n", lines.join("\n")));
        self.drawn = lines.len();
    }
}

/// A reader that went away is no reason to stop a rollout.
fn put(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
