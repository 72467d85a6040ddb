//! What holds a drain, and whose cordon it is.

use e2e::controlplane::wait::eventually;
use e2e::workload::Workload;

use crate::{NEW, PATIENCE, fleet, policy};

/// A pod whose budget never lets it go.
pub(crate) const PINNED: Workload<'_> = Workload::deployment("pinned", 1, 0);

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_without_room_holds_the_drain_until_it_has_room() {
    let (fleet, observer) = fleet(1).await;
    PINNED.run(&fleet.plane, PATIENCE).await.unwrap();
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    let message = fleet.says("node-1", "default/pinned", PATIENCE).await.unwrap();
    println!("the shadow says: {message}");
    assert_eq!(fleet.boots()["node-1"], 0, "no reboot before the drain has ended");
    PINNED.allow(&fleet.plane, 1).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    assert_eq!(fleet.boots()["node-1"], 1);
    observer.assert_no_breach().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_an_administrator_cordoned_is_left_alone_and_stays_cordoned() {
    let (fleet, observer) = fleet(2).await;
    fleet.plane.kubectl(&["cordon", "node-1"]).await.unwrap();
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet.publish(&NEW);
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    eventually("node-1 to be held", PATIENCE, async || {
        let policy = fleet.policies().get("default").await?;
        let nodes = policy.status.unwrap_or_default().nodes.unwrap_or_default();
        Ok((nodes.held == 1 && nodes.updated == 1).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(fleet.boots()["node-1"], 0);
    let node = fleet.node_objects().get("node-1").await.unwrap();
    assert_eq!(node.spec.and_then(|spec| spec.unschedulable), Some(true));
    // Once it is uncordoned it is updated like any other.
    fleet.plane.kubectl(&["uncordon", "node-1"]).await.unwrap();
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    observer.assert_no_breach().await;
}
