//! The servers, until told to stop.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{Client, Config};
use prometheus::Registry;
use runtime::{
    health::{Health, metrics_routes},
    server::{Limits, listen, serve},
    shutdown::Signals,
    supervise::Supervisor,
    tls::{CertificateReloader, server_config},
};

use crate::{
    args::Args,
    metrics::Metrics,
    routes::{Judge, routes},
    watch::Watches,
};

/// How long the tasks have to end: more than the 10 s that the API server gives an admission call at most.
const GRACE: Duration = Duration::from_secs(15);

/// Runs the webhook until it is told to stop.
///
/// # Errors
/// When it cannot start, or when one of its tasks ends with an error.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { listen: https_at, metrics_listen, tls_dir, namespace, log } = args;
    let signals = Signals::install()?;
    runtime::logging::init(&log)?;
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    let (certificate, reloader) = CertificateReloader::load(&tls_dir, &registry).await?;
    let config = server_config(certificate)?;
    let client = Client::try_from(Config::infer().await.context("no access to a cluster")?)?;
    let https = listen(https_at).await.with_context(|| format!("listen on {https_at}"))?;
    let http = listen(metrics_listen).await.with_context(|| format!("listen on {metrics_listen}"))?;
    let mut supervisor = Supervisor::new(GRACE);
    let watches = Watches::start(&client, &namespace, &mut supervisor);
    let judge = Arc::new(Judge { cluster: Box::new(move || watches.cluster()), metrics });
    let token = supervisor.token();
    supervisor.spawn("certificate", async move {
        reloader.run(CertificateReloader::EVERY, token.cancelled()).await;
        Ok(())
    });
    let token = supervisor.token();
    // Ready as soon as it serves: it judges without its caches as well.
    let probes = Health::default().routes().merge(metrics_routes(registry));
    supervisor.spawn("metrics", async move {
        serve(http, None, probes, Limits::probes(), token.cancelled()).await;
        Ok(())
    });
    let token = supervisor.token();
    let limits = Limits { drain: GRACE / 2, ..Limits::default() };
    supervisor.spawn("admission", async move {
        serve(https, Some(config), routes(judge), limits, token.cancelled()).await;
        Ok(())
    });
    tracing::info!(%https_at, %metrics_listen, namespace, "serving");
    supervisor.run(signals.received()).await
}
