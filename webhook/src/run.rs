//! The servers, until told to stop.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{Client, Config};
use prometheus::Registry;
use runtime::{
    health::{Health, metrics_routes},
    server::{Limits, Refused, listen, serve},
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

/// What the webhook's callers have. The API servers of a cluster are few, and each of them sends all its calls over one or two
/// HTTP/2 connections. None of them proves who it is, so that there is nobody to keep a part for.
fn limits() -> Limits {
    Limits {
        connections: 256,
        unauthenticated: 256,
        unauthenticated_per_address: 32,
        // What kube-apiserver's client takes for granted until it is told.
        streams: 100,
        drain: GRACE / 2,
        ..Limits::default()
    }
}

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
    let refused = Refused::register(&registry)?;
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
    let limits_of_probes = Limits { refused: refused.clone(), ..Limits::probes() };
    supervisor.spawn("metrics", async move {
        serve(http, None, probes, limits_of_probes, token.cancelled()).await;
        Ok(())
    });
    let token = supervisor.token();
    let limits = Limits { refused, ..limits() };
    supervisor.spawn("admission", async move {
        serve(https, Some(config), routes(judge), limits, token.cancelled()).await;
        Ok(())
    });
    tracing::info!(%https_at, %metrics_listen, namespace, "serving");
    supervisor.run(signals.received()).await
}
