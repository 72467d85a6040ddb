//! Power that goes at the worst moments, with all that runs on the node.

use api::shadow::Activity;
use e2e::controlplane::wait::eventually;
use e2e::host::{Command, Deed, Moment};
use e2e::real_nodes::RealClusterOptions;

use crate::site::{PATIENCE, Site};

#[tokio::test(flavor = "multi_thread")]
async fn power_that_goes_while_staging_while_draining_and_after_activation_costs_a_boot_and_no_more() {
    let Some(site) = Site::start(RealClusterOptions::default(), None).await else { return };
    let host = |node| site.cluster.host(node).unwrap();
    host("node-1").when(Moment::Halfway(Command::Prepare), Deed::PowerCycle);
    host("node-3").when(Moment::Ended(Command::Activate), Deed::PowerCycle);
    site.apply_policy("maxConcurrentUpdates: 1").await;
    eventually("node-2 to drain", PATIENCE, async || {
        let status = site.shadow("node-2").await?.status;
        Ok((status.and_then(|status| status.activity) == Some(Activity::Draining)).then_some(()))
    })
    .await
    .unwrap();
    host("node-2").perform(Deed::PowerCycle);
    site.updated().await;
    for (node, boots) in [("node-1", (1, 2)), ("node-2", (1, 2)), ("node-3", (0, 1))] {
        assert_eq!(site.boots(node), boots, "{node}: reboots of ours, boots");
    }
    site.assert_whole().await;
}
