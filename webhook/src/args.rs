//! The webhook's wiring.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use runtime::logging::LogArgs;

/// Judges UpdatePolicy objects at admission.
#[derive(Debug, Parser)]
#[command(name = "webhook", version)]
pub struct Args {
    /// Where /validate and /advise are served, over HTTPS.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:9443")]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are served, as plain HTTP.
    #[arg(long, env = "METRICS_LISTEN", default_value = "0.0.0.0:8080")]
    pub metrics_listen: SocketAddr,
    /// The folder with tls.crt and tls.key; a new pair there is served without a restart.
    #[arg(long, env = "TLS_DIR", default_value = "/etc/brupop-tls-keys")]
    pub tls_dir: PathBuf,
    /// The operator's namespace, where the shadows are.
    #[arg(long, env = "POD_NAMESPACE", default_value = api::names::DEFAULT_NAMESPACE)]
    pub namespace: String,
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
