//! The program: watches, servers, and their end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::Stream;
use k8s_openapi::api::core::v1::Node;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use prometheus::Registry;
use runtime::events::{Publisher, events};
use runtime::health::{Condition, Health, metrics_routes};
use runtime::server::{Limits, Refused, listen, serve};
use runtime::shutdown::Signals;
use runtime::supervise::Supervisor;
use runtime::tls::{CertificateReloader, server_config};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::args::Args;
use crate::client::connect;
use crate::cluster::Cluster;
use crate::identity::follow_own_token;
use crate::metrics::Metrics;
use crate::node_events::NodeEvents;
use crate::operations::attend;
use crate::recorded_nodes::{RecordedNodes, node_events};
use crate::router::router;
use crate::watch::{Caches, caches, pod_events, shadow_events};

/// How long tasks may take to end; a pod has 30 s by default.
const GRACE: Duration = Duration::from_secs(25);
/// How long everything goes on as before once it is told to end and says that it is not ready: for a moment the Service still
/// routes here. With the twenty seconds that open requests have after it, it fits into [`GRACE`].
const LAME_DUCK: Duration = Duration::from_secs(3);

/// Runs until a signal arrives.
///
/// # Errors
/// When it cannot start, or a part of it fails.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { listen: agents_at, metrics_listen, tls_dir, max_unauthenticated_connections_per_ip, namespace, log } =
        args;
    runtime::logging::init(&log)?;
    let signals = Signals::install().context("cannot listen for signals")?;
    let registry = Registry::new();
    let health = Health::default();
    let mut supervisor = Supervisor::new(GRACE).with_lame_duck(LAME_DUCK);
    let stop = supervisor.token();

    let (client, own_token) = connect().await?;
    let (caches, writers) = caches(&namespace);
    let nodes = node_events(client.clone());
    let objects = (pod_events(client.clone(), &namespace), shadow_events(client.clone(), &namespace));
    supervisor.spawn("watches", until(stop.clone(), writers.follow(objects.0, objects.1)));
    let synced = health.condition("first sync");
    let serving = health.condition("serving");
    supervisor.spawn("readiness", readiness(caches.clone(), synced, serving, (supervisor.leaving(), stop.clone())));

    let (certificate, reloader) = CertificateReloader::load(&tls_dir, &registry).await?;
    let renewal = reloader.run(CertificateReloader::EVERY, stop.clone().cancelled_owned());
    supervisor.spawn("certificate", async {
        renewal.await;
        Ok(())
    });

    let cluster = Cluster::new(client, &namespace);
    let metrics = Metrics::register(&registry)?;
    let clock = Arc::new(runtime::clock::now);
    let (recorder, publisher) = events(None, |_, _| {});
    supervisor.spawn("events", until(stop.clone(), write_events(cluster.clone(), publisher)));
    let app = Arc::new(App::new(cluster, caches, metrics, NodeEvents::new(recorder), stop.clone(), clock));
    supervisor.spawn("issuers", until(stop.clone(), issuers(app.clone(), own_token)));
    supervisor.spawn("unattended nodes", until(stop.clone(), look_after(app.clone(), nodes)));
    let listener = listen(agents_at).await.with_context(|| format!("cannot listen on {agents_at}"))?;
    let tls = Some(server_config(certificate)?);
    let routes = router(app).merge(health.routes());
    let refused = Refused::register(&registry)?;
    let limits = Limits {
        unauthenticated_per_address: max_unauthenticated_connections_per_ip,
        refused: refused.clone(),
        ..Limits::default()
    };
    let agents = serve(listener, tls, routes, limits, stop.clone().cancelled_owned());
    supervisor.spawn("agents", async {
        agents.await;
        Ok(())
    });

    let listener = listen(metrics_listen).await.with_context(|| format!("cannot listen on {metrics_listen}"))?;
    let routes = metrics_routes(registry).merge(health.routes());
    let probes = serve(listener, None, routes, Limits { refused, ..Limits::probes() }, stop.cancelled_owned());
    supervisor.spawn("metrics", async {
        probes.await;
        Ok(())
    });

    tracing::info!(%agents_at, %metrics_listen, namespace, "serving");
    supervisor.run(signals.received()).await?;
    Ok(())
}

/// Ready after the first sync, and from then on until the end: an outage of Kubernetes is a 503 to a caller, not a Service
/// without endpoints.
async fn readiness(
    caches: Caches,
    synced: Condition,
    serving: Condition,
    (leaving, stop): (CancellationToken, CancellationToken),
) -> anyhow::Result<()> {
    serving.set(true);
    let sync = async {
        caches.synced().await?;
        synced.set(true);
        std::future::pending::<anyhow::Result<()>>().await
    };
    let outcome = leaving.run_until_cancelled(sync).await;
    serving.set(false);
    outcome.unwrap_or(Ok(()))?;
    stop.cancelled().await;
    Ok(())
}

async fn write_events(cluster: Cluster, publisher: Publisher) {
    publisher.publish(|event| cluster.create_event(event)).await;
}

async fn issuers(app: Arc<App>, own_token: Option<PathBuf>) {
    follow_own_token(&app.issuers, own_token.as_deref(), || app.now()).await;
}

/// Restores the nodes that no agent restores.
async fn look_after(app: Arc<App>, nodes: impl Stream<Item = watcher::Result<Event<PartialObjectMeta<Node>>>> + Send) {
    let recorded = RecordedNodes::default();
    let attending = async {
        // An agent that the watches have not shown yet is not a silent one.
        match app.caches.synced().await {
            Ok(()) => attend(&app, &recorded).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::join!(recorded.follow(nodes), attending);
}

async fn until(stop: CancellationToken, task: impl Future<Output = ()>) -> anyhow::Result<()> {
    match stop.run_until_cancelled(task).await {
        None => Ok(()),
        Some(()) => anyhow::bail!("it ended before its time"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn told_to_end_it_is_not_ready_at_once_and_goes_on_as_a_lame_duck() {
        let health = Health::default();
        let (synced, serving) = (health.condition("first sync"), health.condition("serving"));
        let mut supervisor = Supervisor::new(GRACE).with_lame_duck(LAME_DUCK);
        let (leaving, stop) = (supervisor.leaving(), supervisor.token());
        let (caches, _writers) = caches("brupop");
        supervisor.spawn("readiness", readiness(caches, synced, serving, (leaving, stop.clone())));
        let told = async || sleep(Duration::from_secs(60)).await;
        let course = async {
            told().await;
            sleep(Duration::from_millis(1)).await;
            assert_eq!((health.not_ready(), stop.is_cancelled()), (vec!["first sync", "serving"], false));
            sleep(LAME_DUCK).await;
            assert!(stop.is_cancelled());
        };
        let (ended, ()) = tokio::join!(supervisor.run(told()), course);
        ended.unwrap();
    }

    #[test]
    fn what_is_open_has_its_whole_time_within_the_grace() {
        assert!(LAME_DUCK + Limits::default().drain + Duration::from_secs(2) <= GRACE);
    }
}
