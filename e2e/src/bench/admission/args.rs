//! What the benchmark can be asked for.

use clap::{Parser, Subcommand};

use crate::bench::hostile;

/// Measures admission calls in a cluster of many nodes and policies.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo bench-admission", args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What is measured in the place of that.
    #[command(subcommand)]
    pub instead: Option<Instead>,
    /// Managed nodes in the cluster.
    #[arg(long, default_value_t = 1000)]
    pub nodes: usize,
    /// Policies in the cluster.
    #[arg(long, default_value_t = 50)]
    pub policies: usize,
    /// Calls of each kind.
    #[arg(long, default_value_t = 1000)]
    pub calls: usize,
}

/// Another measurement.
#[derive(Subcommand, Clone, Debug)]
pub enum Instead {
    /// What callers who mean harm can take, and what those who edit policies notice of it: five minutes.
    Hostile(hostile::Args),
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
