//! The servers, until told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config};
use prometheus::Registry;
use runtime::clock;
use runtime::health::{Health, metrics_routes};
use runtime::server::{Limits, Refused, listen, serve};
use runtime::shutdown::Signals;
use runtime::supervise::Supervisor;
use runtime::tls::{CertificateReloader, server_config};

use crate::args::Args;
use crate::metrics::Metrics;
use crate::review_threads::{ReviewThreads, STUCK_AFTER};
use crate::routes::{MAX_REVIEW, Webhook, routes};
use crate::watch::Watches;

/// How long the tasks have to end: more than the 10 s that the API server gives an admission call at most.
const GRACE: Duration = Duration::from_secs(15);

/// Bytes that reviews may take at a time. One address has half of it at most, which is enough for the largest review; with
/// what the connections take it is less than half of the container's limit (docs/decisions/0016).
const MEMORY: usize = 80 << 20;

/// Bytes that a piece of a review takes, as text and read into values: a copy of the text, and for each element of a list or
/// entry of an object a value of 32 bytes, in a vector with room for as many again, and once more as a policy.
fn memory_of_json(text: &[u8]) -> usize {
    const VALUE: usize = 96;
    let values = text.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
    2 * text.len() + VALUE * values
}

/// What the webhook's callers have. The API servers of a cluster are few, and each of them sends all its calls over one or two
/// HTTP/2 connections. None of them proves who it is, so that there is nobody to keep a part for.
fn limits() -> Limits {
    Limits {
        connections: 128,
        unauthenticated: 128,
        unauthenticated_per_address: 32,
        // What kube-apiserver's client takes for granted until it is told.
        streams: 100,
        request_bytes: MEMORY,
        body_bytes: MAX_REVIEW,
        weigh: memory_of_json,
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
    let threads = ReviewThreads::default();
    let webhook = Arc::new(Webhook {
        cluster: Box::new(move || watches.cluster(clock::now())),
        metrics,
        threads: threads.clone(),
    });
    let token = supervisor.token();
    supervisor.spawn("certificate", async move {
        reloader.run(CertificateReloader::EVERY, token.cancelled()).await;
        Ok(())
    });
    let token = supervisor.token();
    // Ready as soon as it serves: it judges without its caches as well.
    let health = Health::default();
    let heartbeat = health.heartbeat("judging", STUCK_AFTER);
    let told = token.clone();
    supervisor.spawn("judging", async move {
        told.run_until_cancelled(threads.beat(&heartbeat)).await;
        Ok(())
    });
    let probes = health.routes().merge(metrics_routes(registry));
    let limits_of_probes = Limits { refused: refused.clone(), ..Limits::probes() };
    supervisor.spawn("metrics", async move {
        serve(http, None, probes, limits_of_probes, token.cancelled()).await;
        Ok(())
    });
    let token = supervisor.token();
    let limits = Limits { refused, ..limits() };
    supervisor.spawn("admission", async move {
        serve(https, Some(config), routes(webhook), limits, token.cancelled()).await;
        Ok(())
    });
    tracing::info!(%https_at, %metrics_listen, namespace, "serving");
    supervisor.run(signals.received()).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A policy of the largest size that etcd takes, most of which is a status, annotations and what manages which field.
    fn largest_policy() -> Value {
        let node = |number: usize| {
            json!({
                "node": format!("ip-10-0-{number}.eu-central-1.compute.internal"),
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "version": "1.51.0", "activity": "Draining",
                "since": "2026-11-30T21:00:00Z", "message": "3 of 11 pods are left; default/web-0 waits for its budget",
            })
        };
        let fields =
            |number: usize| json!({"f:spec": {format!("f:field-{number}"): {}, "f:schedule": {"f:windows": {}}}});
        let applied = json!((0..1_500).map(node).collect::<Vec<_>>()).to_string();
        let mut policy = json!({
            "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
            "metadata": {
                "name": "default",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied[..256 << 10]},
                "managedFields": (0..2_000).map(fields).collect::<Vec<_>>(),
            },
            "spec": {"nodeSelector": {}},
        });
        policy["status"] = json!({"updating": (0..4_000).map(node).collect::<Vec<_>>()});
        policy
    }

    #[test]
    fn the_largest_review_finds_room_in_the_share_of_one_address() {
        let policy = largest_policy();
        let bytes = policy.to_string().len();
        assert!(bytes > 1_250 << 10 && bytes < 1_536 << 10, "{bytes}");
        let review = json!({"request": {"object": policy, "oldObject": policy}}).to_string();
        assert!(review.len() < MAX_REVIEW);
        let memory = memory_of_json(review.as_bytes());
        assert!(memory < MEMORY / 2 - (1 << 20), "{memory}");
    }

    #[test]
    fn text_that_is_small_and_makes_many_values_weighs_as_much_as_they_do() {
        let elements = (1 << 20) / 2;
        let text = "0,".repeat(elements);
        let values = Vec::<Value>::with_capacity(elements).capacity() * size_of::<Value>();
        assert!(memory_of_json(text.as_bytes()) >= 3 * values);
    }
}
