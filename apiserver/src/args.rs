//! Everything that is set from outside.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use runtime::logging::LogArgs;

/// Proves who an agent is, and does to its node what its state allows.
#[derive(Parser, Clone, Debug)]
#[command(version)]
pub struct Args {
    /// Where agents are served, over HTTPS.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,

    /// Where /metrics, /livez and /readyz are served, over plain HTTP.
    #[arg(long, env = "METRICS_LISTEN", default_value = "0.0.0.0:8080")]
    pub metrics_listen: SocketAddr,

    /// The folder with tls.crt and tls.key; a new pair there is served without a restart.
    #[arg(long, env = "TLS_DIR", default_value = "/etc/brupop-tls-keys")]
    pub tls_dir: PathBuf,

    /// Unauthenticated connections at a time from one IP address (of IPv6: from one /64 network), which are those without a
    /// request whose caller has proven who it is. Further ones are closed at once, or take the place of one that keeps the
    /// apiserver waiting. To be raised where the agents of many nodes come by way of one address.
    #[arg(long, env = "MAX_UNAUTHENTICATED_CONNECTIONS_PER_IP", default_value_t = 256)]
    pub max_unauthenticated_connections_per_ip: usize,

    /// The operator's namespace.
    #[arg(long, env = "POD_NAMESPACE", default_value = api::names::DEFAULT_NAMESPACE)]
    pub namespace: String,

    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogArgs,
}
