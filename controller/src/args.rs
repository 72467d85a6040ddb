//! The controller's wiring. What users set is in UpdatePolicy objects and nowhere here.

use std::net::SocketAddr;

use clap::Parser;
use runtime::logging::LogArgs;

/// Rolls Bottlerocket OS updates over the cluster, as UpdatePolicy objects say.
#[derive(Debug, Parser)]
#[command(name = "controller", version)]
pub struct Args {
    /// The namespace of the shadows and of the agents.
    #[arg(long, env = "POD_NAMESPACE", default_value = api::names::DEFAULT_NAMESPACE)]
    pub namespace: String,
    /// Begins this process's name in the Lease that says which controller acts; a random ending makes it unique.
    #[arg(long, env = "POD_NAME", default_value = "controller")]
    pub pod_name: String,
    /// Where /livez, /readyz and /metrics are served, as plain HTTP.
    #[arg(long, env = "METRICS_LISTEN", default_value = "0.0.0.0:8080")]
    pub metrics_listen: SocketAddr,
    /// What is logged and how.
    #[command(flatten)]
    pub log: LogArgs,
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
