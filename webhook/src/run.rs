//! The servers, until told to stop.

use std::time::Duration;

use anyhow::Context as _;
use prometheus::Registry;
use runtime::{
    health::{Health, metrics_routes},
    server::{Limits, listen, serve},
    shutdown::Signals,
    supervise::Supervisor,
    tls::{CertificateReloader, server_config},
};

use crate::{args::Args, routes::routes};

/// How long the tasks have to end: more than the 10 s that the API server gives an admission call at most.
const GRACE: Duration = Duration::from_secs(15);

/// Runs the webhook until it is told to stop.
///
/// # Errors
/// When it cannot start, or when one of its tasks ends with an error.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let signals = Signals::install()?;
    runtime::logging::init(&args.log)?;
    let registry = Registry::new();
    let (certificate, reloader) = CertificateReloader::load(&args.tls_dir, &registry).await?;
    let config = server_config(certificate)?;
    let https = listen(args.listen).await.with_context(|| format!("listen on {}", args.listen))?;
    let http = listen(args.metrics_listen).await.with_context(|| format!("listen on {}", args.metrics_listen))?;
    let mut supervisor = Supervisor::new(GRACE);
    let token = supervisor.token();
    supervisor.spawn("certificate", async move {
        reloader.run(CertificateReloader::EVERY, token.cancelled()).await;
        Ok(())
    });
    let token = supervisor.token();
    let probes = Health::default().routes().merge(metrics_routes(registry));
    supervisor.spawn("metrics", async move {
        serve(http, None, probes, Limits::probes(), token.cancelled()).await;
        Ok(())
    });
    let token = supervisor.token();
    supervisor.spawn("admission", async move {
        serve(https, Some(config), routes(), Limits { drain: GRACE / 2, ..Limits::default() }, token.cancelled()).await;
        Ok(())
    });
    supervisor.run(signals.received()).await
}
