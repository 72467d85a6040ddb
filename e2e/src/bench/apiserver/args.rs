//! What the benchmark can be asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::bench::hostile;

/// Measures one replica of the apiserver with many agents, beside the original operator's ways.
#[derive(Parser, Clone, Debug)]
#[command(name = "cargo bench-apiserver", args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What is measured in the place of that.
    #[command(subcommand)]
    pub instead: Option<Instead>,
    /// Agents, each with a node, a pod and a token of its own.
    #[arg(long, default_value_t = 1000)]
    pub agents: usize,
    /// Reports under way at a time while throughput is measured.
    #[arg(long, default_value_t = 64)]
    pub at_a_time: usize,
    /// Seconds for which throughput is measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds for which the rate of a cluster at work is measured; more than the minute for which reviews are remembered.
    #[arg(long, default_value_t = 90)]
    paced_seconds: u64,
    /// Build for debugging is no measure; measure all the same.
    #[arg(long)]
    pub debug_build: bool,
    /// A folder with an apiserver that was built for release, to measure in the place of the one that is built now.
    #[arg(long, value_name = "FOLDER")]
    pub programs: Option<PathBuf>,
}

/// Another measurement.
#[derive(Subcommand, Clone, Debug)]
pub enum Instead {
    /// What callers who mean harm can take, and what honest agents notice of it: five minutes.
    Hostile(hostile::Args),
}

impl Args {
    /// How long throughput is measured.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// How long the rate of a cluster at work is measured.
    pub fn paced(&self) -> Duration {
        Duration::from_secs(self.paced_seconds)
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
