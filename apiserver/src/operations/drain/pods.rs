//! The pods of a drain: listed, and asked for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::app::App;
use crate::cluster::ClusterError;
use crate::drain::{Answer, PodFacts, Refused, Selection, classify, ready_elsewhere, select, to_go};
use crate::identity::Identity;

/// The pods that have to go now.
pub(super) async fn pods_to_go(
    app: &App,
    identity: &Identity,
    began: Timestamp,
    overdue: bool,
) -> Result<Vec<PodFacts>, ClusterError> {
    let read =
        |pods: Vec<Pod>| -> Vec<PodFacts> { pods.iter().map(|pod| PodFacts::read(pod, &app.namespace)).collect() };
    let pods = read(app.cluster.pods_on(&identity.node).await?);
    if pods.iter().all(|pod| select(pod, began) != Selection::Last) {
        return Ok(to_go(pods, began, &BTreeSet::new(), overdue));
    }
    let own = read(app.cluster.own_pods().await?);
    Ok(to_go(pods, began, &ready_elsewhere(&own, &identity.node), overdue))
}

/// Asks for the eviction of a pod, or deletes it where the drain is forced. Answers with its uid, and what Kubernetes said.
pub(super) async fn ask(app: &App, pod: PodFacts, forced: bool) -> (String, Answer) {
    let answer = if forced {
        app.cluster.delete_pod(&pod.namespace, &pod.name, &pod.uid).await
    } else {
        app.cluster.evict(&pod.namespace, &pod.name, &pod.uid).await
    };
    let answer = classify(&answer);
    match &answer {
        Answer::Refused { why: Refused::SeveralBudgets, .. } => {
            tracing::warn!(
                namespace = pod.namespace,
                pod = pod.name,
                "several PodDisruptionBudgets select this pod, so that it cannot be evicted"
            );
        }
        _ => tracing::debug!(
            namespace = pod.namespace,
            pod = pod.name,
            forced,
            answer = answer.as_str(),
            "eviction answered"
        ),
    }
    (pod.uid, answer)
}
