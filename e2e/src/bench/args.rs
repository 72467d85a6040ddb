//! What the benchmark can be asked for.

use std::time::Duration;

use clap::Parser;

/// Measures an agent at rest and through one update, beside one of the original operator.
#[derive(Parser, Clone, Debug)]
#[command(name = "cargo bench-agent")]
pub struct Args {
    /// Seconds for which both agents are watched at rest.
    #[arg(long, default_value_t = 240)]
    idle_seconds: u64,
    /// Leave the original agent out, which takes four of the ten minutes.
    #[arg(long)]
    pub alone: bool,
}

impl Args {
    /// How long both are watched at rest.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_flags_fit_together() {
        Args::command().debug_assert();
    }
}
