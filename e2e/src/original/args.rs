//! The flags of the simulated original agent. The original has environment variables and fixed paths instead.

use std::path::PathBuf;

use clap::Parser;

/// Behaves as an agent of the original operator, v1.4.0.
#[derive(Parser, Clone, Debug)]
pub struct Args {
    /// Name of its Node.
    #[arg(long)]
    pub node_name: String,
    /// Socket of the host's update API.
    #[arg(long)]
    pub socket: PathBuf,
    /// Its own access to Kubernetes.
    #[arg(long)]
    pub kubeconfig: PathBuf,
    /// File with its token for the apiserver.
    #[arg(long)]
    pub token_file: PathBuf,
    /// File with the authority of the apiserver's certificate.
    #[arg(long)]
    pub ca_file: PathBuf,
    /// The apiserver's port on this machine.
    #[arg(long)]
    pub apiserver_port: u16,
    /// Seconds between the load-balancer exclusion and the drain; 0: no exclusion.
    #[arg(long, default_value_t = 0)]
    pub exclude_from_lb_wait: u64,
    /// All its pauses and limits are divided by this.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub faster: u32,
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
