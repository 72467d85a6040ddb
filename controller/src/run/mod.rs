//! Starts everything and ends it again.

mod batch;
mod cycle;
mod decide;
mod delays;
mod lead;
mod planner;
mod rate;
mod resign;
mod takeover;
mod undecodable;

use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config};
use prometheus::Registry;
use runtime::health::{Health, metrics_routes};
use runtime::server::{Limits, listen, serve};
use runtime::shutdown::Signals;
use runtime::supervise::Supervisor;
use tokio::sync::oneshot;

use crate::args::Args;
use crate::lease::Election;
use crate::metrics::Metrics;
use crate::recorder::recorder;
use crate::watch::Watches;
use crate::write::Writer;
use lead::Controller;
use planner::Planner;

/// A loop that has not shown itself for this long is stuck: several times what one write may take with all that follows from it.
const STUCK_AFTER: Duration = Duration::from_secs(120);
/// How long the tasks have to end.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the controller until it is told to stop.
///
/// # Errors
/// When it cannot start, or when one of its tasks ends with an error.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let signals = Signals::install()?;
    runtime::logging::init(&args.log)?;
    let client = Client::try_from(config().await?).context("kubernetes client")?;
    let registry = Registry::new();
    let health = Health::default();
    let synced = health.condition("synced");
    let heartbeat = health.heartbeat("loop", STUCK_AFTER);
    let metrics = Metrics::register(&registry)?;
    let mut supervisor = Supervisor::new(GRACE);
    let listener = listen(args.metrics_listen).await.with_context(|| format!("listen on {}", args.metrics_listen))?;
    let routes = health.routes().merge(metrics_routes(registry));
    let token = supervisor.token();
    supervisor.spawn("metrics", async move {
        serve(listener, None, routes, Limits::probes(), token.cancelled()).await;
        Ok(())
    });
    let watches = Watches::start(&client, &args.namespace, &metrics, &mut supervisor);
    let token = supervisor.token();
    let identity = format!("{}_{:016x}", args.pod_name, fastrand::u64(..));
    let (election, leadership) = Election::new(&client, &args.namespace, identity, token.clone());
    let (idle, loop_is_idle) = oneshot::channel();
    supervisor.spawn("lease", election.run(token.clone(), loop_is_idle));
    let (recorder, publishing) = recorder(&client, &metrics);
    let told = token.clone();
    supervisor.spawn("events", async move {
        told.run_until_cancelled(publishing).await;
        Ok(())
    });
    let writer = Writer::new(&client, &args.namespace);
    let controller =
        Controller { watches, writer, recorder, metrics, heartbeat, leadership, planner: Planner::default() };
    supervisor.spawn("loop", async move {
        match token.run_until_cancelled(controller.watches.synced()).await {
            Some(done) => done?,
            None => return Ok(()),
        }
        synced.set(true);
        tracing::info!("all watches have synced");
        Ok(controller.run(&token, idle).await?)
    });
    supervisor.run(signals.received()).await
}

/// The cluster's own configuration, or what KUBECONFIG names; without the client's own retries, which would hide a conflict
/// or an outage for minutes.
async fn config() -> anyhow::Result<Config> {
    let mut config = Config::infer().await.context("kubernetes configuration")?;
    config.default_retry = false;
    Ok(config)
}
