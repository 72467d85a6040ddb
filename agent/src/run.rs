//! From flags to a running agent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use prometheus::Registry;
use runtime::clock;
use runtime::health::{Condition, Health, metrics_routes};
use runtime::server::{Limits, listen, serve};
use runtime::shutdown::Signals;
use runtime::supervise::Supervisor;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::apiserver::{Apiserver, TlsDial};
use crate::args::Args;
use crate::contact::Contact;
use crate::cycle::Cycle;
use crate::host::BottlerocketHost;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::performer::Performer;
use crate::shadow::ShadowPoll;

/// How old the loop's last sign of life may be: it gives one at least once a minute, and no single request takes two.
pub const STUCK: Duration = Duration::from_secs(300);
/// Requests are dropped at once; there is nothing to end properly.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the agent until it is asked to end.
///
/// # Errors
/// When it cannot start with these flags, or cannot go on.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let signals = Signals::install().context("cannot listen for signals")?;
    check(&args)?;
    let Args {
        node_name,
        socket,
        boot_id_file,
        token_file,
        ca_file,
        apiserver_host,
        apiserver_port,
        apiserver_name,
        check_interval,
        health_listen,
        termination_log: _,
        log: _,
    } = args;
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    let health = Health::default();
    let contact = Contact::new(metrics.last_contact.clone());
    let heard = health.condition("apiserver");
    let heartbeat = health.heartbeat("cycle", STUCK);
    let dial = TlsDial::new(apiserver_host, apiserver_port, &apiserver_name, ca_file)
        .with_context(|| format!("apiserver name {apiserver_name:?} is no DNS name"))?;
    let listener = listen(health_listen).await.with_context(|| format!("cannot listen on {health_listen}"))?;
    tracing::info!(node = node_name, version = crate::step::AGENT_VERSION, "agent starts");
    let apiserver = Apiserver::new(Arc::new(dial), apiserver_name, node_name, token_file, contact.clone());
    let cycle = Cycle {
        performer: Performer {
            host: BottlerocketHost::at(socket),
            shadow: ShadowPoll::new(apiserver.clone()),
            apiserver,
        },
        memory: Memory::new(Duration::from_secs(check_interval)),
        boot_id_file,
        wall: clock::now,
        metrics,
        heartbeat,
    };
    let mut supervisor = Supervisor::new(GRACE);
    let token = supervisor.token();
    supervisor.spawn("cycle", until(token.clone(), cycle.run()));
    supervisor.spawn("readiness", until(token.clone(), watch(contact, heard)));
    let routes = health.routes().merge(metrics_routes(registry));
    supervisor.spawn("health", async move {
        serve(listener, None, routes, Limits::probes(), token.cancelled_owned()).await;
        Ok(())
    });
    supervisor.run(signals.received()).await
}

/// What would never come right by itself is said at once.
fn check(args: &Args) -> anyhow::Result<()> {
    ensure!(!args.node_name.is_empty(), "no node name: set --node-name or NODE_NAME");
    ensure!(
        !args.apiserver_host.is_empty(),
        "no address of the apiserver: set --apiserver-host or BRUPOP_APISERVER_SERVICE_HOST"
    );
    let token = std::fs::read_to_string(&args.token_file);
    let token = token.with_context(|| format!("cannot read token file {}", args.token_file.display()))?;
    ensure!(!token.trim().is_empty(), "token file {} is empty", args.token_file.display());
    let bundle = std::fs::read(&args.ca_file);
    let bundle = bundle.with_context(|| format!("cannot read CA file {}", args.ca_file.display()))?;
    runtime::tls::client_config(&bundle).with_context(|| format!("CA file {}", args.ca_file.display()))?;
    Ok(())
}

/// The agent is ready while the apiserver has answered it lately: that is how the operator tells a silent one.
async fn watch(contact: Contact, heard: Condition) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        heard.set(contact.is_recent());
    }
}

async fn until(token: CancellationToken, task: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    token.run_until_cancelled(task).await.unwrap_or(Ok(()))
}

/// Leaves the reason for the end where Kubernetes shows it. Outside a container there is no such file, which is no matter.
pub fn say_last_words(termination_log: &Path, error: &anyhow::Error) {
    let words = format!("{error:#}");
    tracing::error!(error = words, "agent ends");
    if let Err(error) = std::fs::write(termination_log, words) {
        tracing::debug!(%error, "cannot write the termination message");
    }
}
