//! A whole rollout, with the figures that it gives.

use std::collections::{BTreeMap, BTreeSet};

use e2e::image::Size;
use e2e::real_nodes::{RealClusterOptions, table};

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn three_real_nodes_are_updated_by_the_programs_in_their_pods() {
    let Some(site) = Site::start(RealClusterOptions::default(), None).await else { return };
    replicas_are_apart(&site).await;
    site.apply_policy("maxConcurrentUpdates: 1").await;
    println!("the first node, {}, updates {:.1?} after `kubectl apply`", site.first().await, site.applied.elapsed());
    site.updated().await;
    for node in site.cluster.names() {
        assert_eq!(site.boots(node), (1, 1), "{node}");
    }
    site.assert_whole().await;
    println!("{}image: {}", table(&site.cluster.usage().await.unwrap()), Size(site.cluster.image_bytes));
}

/// No node carries all replicas of a program that has several.
async fn replicas_are_apart(site: &Site) {
    let mut nodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pod in site.pods().await {
        let component = pod.metadata.labels.as_ref().unwrap()["brupop.bottlerocket.aws/component"].clone();
        nodes.entry(component).or_default().insert(pod.spec.unwrap().node_name.unwrap());
    }
    assert_eq!(nodes.len(), 4, "{nodes:?}");
    assert!(nodes.values().all(|nodes| nodes.len() > 1), "{nodes:?}");
}
