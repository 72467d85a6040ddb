//! The agent's flags. Everything that is read from the environment is read here.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use runtime::logging::LogArgs;

/// Drives one Bottlerocket node through its updates, as its BottlerocketShadow asks.
#[derive(Parser, Clone, Debug)]
#[command(version)]
pub struct Args {
    /// Name of the Node this agent runs on.
    #[arg(long, env = "NODE_NAME", default_value = "")]
    pub node_name: String,

    /// Socket of Bottlerocket's update API.
    #[arg(long, env = "SOCKET", default_value = "/run/api.sock")]
    pub socket: PathBuf,

    /// File with the kernel's boot id.
    #[arg(long, env = "BOOT_ID_FILE", default_value = "/proc/sys/kernel/random/boot_id")]
    pub boot_id_file: PathBuf,

    /// File with this agent's token for the apiserver.
    #[arg(
        long,
        env = "TOKEN_FILE",
        default_value = "/var/run/secrets/tokens/bottlerocket-agent-service-account-token"
    )]
    pub token_file: PathBuf,

    /// File with the authority that signs the apiserver's certificate.
    #[arg(long, env = "CA_FILE", default_value = "/etc/brupop-tls-keys/ca.crt")]
    pub ca_file: PathBuf,

    /// Address of the apiserver's Service. An address, so that a node without a DNS pod is not stranded.
    #[arg(long, env = "BRUPOP_APISERVER_SERVICE_HOST", default_value = "")]
    pub apiserver_host: String,

    /// Port of the apiserver's Service.
    #[arg(long, env = "BRUPOP_APISERVER_SERVICE_PORT", default_value_t = 443)]
    pub apiserver_port: u16,

    /// Name in the apiserver's certificate.
    #[arg(long, env = "APISERVER_NAME", default_value = "brupop-apiserver.brupop-bottlerocket-aws.svc")]
    pub apiserver_name: String,

    /// Seconds between two checks of what the host is offered; varied by a tenth, so that nodes do not ask in step.
    #[arg(long, env = "CHECK_INTERVAL", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub check_interval: u64,

    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "HEALTH_LISTEN", default_value = "0.0.0.0:8081")]
    pub health_listen: SocketAddr,

    /// File for the reason why the process ended, which Kubernetes shows in the pod's status.
    #[arg(long, env = "TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,

    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
}
