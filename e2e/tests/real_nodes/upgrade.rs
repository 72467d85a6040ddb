//! The operator is upgraded while it rolls an update.

use e2e::image::Identity;
use e2e::install::{FILE, workspace};
use e2e::real_nodes::RealClusterOptions;

use crate::site::Site;

const NEXT: &str = "bottlerocket-update-operator:v9.9.9";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_the_image_in_the_middle_of_a_rollout_neither_stalls_nor_repeats_it() {
    let Some(site) = Site::start(RealClusterOptions::default(), None).await else { return };
    site.cluster.add_image(NEXT).await.unwrap();
    let shipped = std::fs::read_to_string(workspace(FILE)).unwrap();
    let next = shipped.replace(&Identity::shipped().reference, NEXT);
    assert_ne!(shipped, next);
    site.apply_policy("maxConcurrentUpdates: 1").await;
    let first = site.first().await;
    site.cluster.plane.apply(&next).await.unwrap();
    println!("upgraded while {first} updates");
    site.updated().await;
    for node in site.cluster.names() {
        assert_eq!(site.boots(node), (1, 1), "{node}");
    }
    site.assert_whole().await;
    for pod in site.pods().await {
        let image = pod.spec.unwrap().containers.remove(0).image;
        assert_eq!(image.as_deref(), Some(NEXT), "{:?}", pod.metadata.name);
    }
}
