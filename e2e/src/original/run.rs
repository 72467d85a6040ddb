//! From flags to a running agent.

use std::time::Duration;

use super::agent::Agent;
use super::apiserver::Apiserver;
use super::args::Args;
use super::host::Host;
use super::kubernetes::Cluster;
use super::time_scale::TimeScale;

/// Runs the agent until it ends: after a reboot that did not end it, or when it cannot go on.
///
/// # Errors
/// When it cannot go on.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { node_name, socket, kubeconfig, token_file, ca_file, apiserver_port, exclude_from_lb_wait, faster } =
        args;
    let scale = TimeScale::faster(faster);
    let cluster = Cluster::watch(&kubeconfig, node_name, scale).await?;
    let apiserver = Apiserver::on(apiserver_port, token_file, ca_file, scale);
    let wait = Duration::from_secs(exclude_from_lb_wait);
    Agent::new(cluster, Host::at(socket, scale), apiserver, scale, wait).run().await
}
