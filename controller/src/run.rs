//! The loop: something changed, or time has come -> snapshot -> plan -> check -> execute -> publish.

mod cycle;
mod delays;

use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config};
use prometheus::Registry;
use runtime::{
    clock,
    health::{Health, Heartbeat, metrics_routes},
    server::{Limits, listen, serve},
    shutdown::Signals,
    supervise::Supervisor,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{args::Args, metrics::Metrics, watch::Watches, write::Writer};
use cycle::Cycle;

/// How long changes are gathered before a plan is made: a list of a thousand objects is one plan, not a thousand.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// How often the loop shows that it is alive when nothing happens.
const BEAT: Duration = Duration::from_secs(10);
/// A loop that has not shown itself for this long is stuck: several times what the writes of one round may take.
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
    let watches = Watches::start(&client, &args.namespace, &mut supervisor);
    let cycle = Cycle::new(Writer::new(&client, &args.namespace), metrics);
    let token = supervisor.token();
    supervisor.spawn("loop", async move {
        let work = async {
            watches.synced().await?;
            synced.set(true);
            tracing::info!("all watches have synced");
            turn(&watches, cycle, &heartbeat).await
        };
        token.run_until_cancelled(work).await.unwrap_or(Ok(()))
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

async fn turn(watches: &Watches, mut cycle: Cycle, heartbeat: &Heartbeat) -> anyhow::Result<()> {
    let mut wake_at = Instant::now();
    loop {
        tokio::select! {
            () = watches.changed() => sleep(DEBOUNCE).await,
            () = sleep_until(wake_at) => {}
            () = sleep(BEAT) => {
                heartbeat.beat();
                continue;
            }
        }
        heartbeat.beat();
        let wake = cycle.round(watches, clock::now()).await;
        // Without a time of its own the next round waits for a change; a beat comes long before this.
        let wait = wake.map_or(Duration::from_secs(86_400), |at| {
            Duration::try_from(at.duration_since(clock::now())).unwrap_or_default()
        });
        wake_at = Instant::now() + wait;
    }
}
