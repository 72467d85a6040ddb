//! What the demo can be asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use semver::Version;

use crate::fleet::OriginalAgents;

/// Rolls a Bottlerocket update over simulated hosts on a real Kubernetes control plane.
#[derive(Parser, Clone, Debug)]
#[command(name = "cargo demo")]
pub struct Args {
    /// How many hosts: six unless it is said, three of real nodes.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=200))]
    nodes: Option<u16>,
    /// Real kubelets, up to three: the image, the manifest and its certificates as they are shipped, and the programs in pods.
    /// Takes root, runc, conntrack, iptables and the network plugins of the distribution.
    #[arg(long, conflicts_with = "original")]
    pub real_nodes: bool,
    /// How many of them, the last ones, have an agent of the original operator, at twenty times its speed.
    #[arg(long, default_value_t = 0)]
    original: u16,
    /// The version that is published.
    #[arg(long, default_value = "1.51.0")]
    pub release: Version,
    /// The policy that is applied.
    #[arg(long, default_value = "samples/demo.yaml")]
    pub policy: PathBuf,
    /// Where jitter comes from: the same seed gives the same hosts.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Minutes until the rollout has failed.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Leave the cluster up at the end, until Ctrl-C.
    #[arg(long)]
    pub keep: bool,
}

impl Args {
    /// How many hosts.
    pub fn nodes(&self) -> usize {
        usize::from(self.nodes.unwrap_or(if self.real_nodes { 3 } else { 6 }))
    }

    /// The hosts with an agent of the original operator.
    pub fn original(&self) -> OriginalAgents {
        OriginalAgents { nodes: usize::from(self.original), ..OriginalAgents::default() }
    }

    /// How long the rollout may take.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.minutes.saturating_mul(60))
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
