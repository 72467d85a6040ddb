//! The smallest cluster: what is updated carries all of the operator.

use e2e::install::build_with;
use e2e::real_nodes::RealClusterOptions;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn the_only_node_is_updated_by_single_replicas_that_go_down_with_it() {
    let manifest = build_with(&["single-replica"]).await.unwrap();
    let options = RealClusterOptions { nodes: 1, ..RealClusterOptions::default() };
    let Some(site) = Site::start(options, Some(&manifest)).await else { return };
    site.apply_policy("maxConcurrentUpdates: 1").await;
    site.updated().await;
    assert_eq!(site.boots("node-1"), (1, 1));
    site.assert_whole().await;
}
