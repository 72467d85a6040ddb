//! The methods of the original operator's apiserver, as requests of this process: without its HTTPS and its own program, so better
//! than it can be.

use std::time::Duration;

use anyhow::ensure;
use api::names::{self, TOKEN_AUDIENCE};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::reports::report;
use super::site::{Caller, Site};
use crate::bench::latency::Latencies;

/// Evictions at a time, the wait for the pod's end included.
const SLOTS: usize = 5;
/// Between two tries of an eviction that was refused, and between two looks whether a pod has ended.
const PAUSE: Duration = Duration::from_secs(5);

/// As [`super::reports::as_many_as_go`], with a review for each report.
pub(super) async fn reports(site: &Site, at_a_time: usize, window: Duration) -> Latencies {
    let (client, permits, begin) = (site.plane.client(), Semaphore::new(at_a_time), Instant::now());
    let all = site.callers.iter().map(async |caller| {
        let (mut taken, mut number) = (Vec::new(), 2_000_000);
        while begin.elapsed() < window {
            let Ok(_permit) = permits.acquire().await else { break };
            if begin.elapsed() < window {
                number += 1;
                let asked = Instant::now();
                taken.push(one(&client, caller, number).await.ok().map(|()| asked.elapsed()));
            }
        }
        taken
    });
    Latencies::of(join_all(all).await.into_iter().flatten(), window)
}

async fn one(client: &Client, caller: &Caller, number: u64) -> anyhow::Result<()> {
    let spec = TokenReviewSpec { token: caller.token.clone(), audiences: Some(vec![TOKEN_AUDIENCE.to_owned()]) };
    let review = TokenReview { spec, ..TokenReview::default() };
    let answer = Api::<TokenReview>::all(client.clone()).create(&PostParams::default(), &review).await?;
    ensure!(answer.status.and_then(|status| status.authenticated) == Some(true), "not authenticated");
    let shadows: Api<api::BottlerocketShadow> = Api::namespaced(client.clone(), names::DEFAULT_NAMESPACE);
    let patch = Patch::Merge(json!({ "status": report(number)? }));
    shadows.patch_status(&names::shadow_name(&caller.node), &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Drains a node: five pods at a time, each evicted every five seconds until the API lets it go, and then looked after every
/// five seconds until it has ended. Nothing stops it but its end.
pub(super) async fn drain(client: &Client, node: &str, asked: impl Fn()) -> anyhow::Result<()> {
    let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let pods = Api::<Pod>::all(client.clone()).list(&on_node).await?.items;
    let mut pods = pods;
    pods.retain(|pod| pod.owner_references().iter().all(|owner| owner.kind != "DaemonSet"));
    let asked = &asked;
    stream::iter(pods).for_each_concurrent(SLOTS, |pod| async move { evict(client, &pod, asked).await }).await;
    Ok(())
}

async fn evict(client: &Client, pod: &Pod, asked: &impl Fn()) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let name = pod.name_any();
    loop {
        asked();
        match pods.evict(&name, &EvictParams::default()).await {
            Ok(_) => break,
            Err(kube::Error::Api(status)) if [403, 404].contains(&status.code) => return,
            Err(_) => sleep(PAUSE).await,
        }
    }
    while let Ok(Some(_)) = pods.get_opt(&name).await {
        sleep(PAUSE).await;
    }
}
