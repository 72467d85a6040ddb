//! Two controllers, of which one is killed.

use std::os::unix::process::ExitStatusExt as _;

use api::{State, names};
use e2e::controlplane::wait::eventually;
use e2e::controlplane::{Process, Signal};
use e2e::fleet::Fleet;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use serde_json::json;

use crate::drains::PINNED;
use crate::policies::held_for;
use crate::{NEW, PATIENCE, asked, fleet, policy};

/// The Lease of the controllers, as it is stored.
async fn lease(fleet: &Fleet) -> anyhow::Result<LeaseSpec> {
    let leases: Api<Lease> = Api::namespaced(fleet.plane.client(), names::DEFAULT_NAMESPACE);
    Ok(leases.get("brupop-controller").await?.spec.unwrap_or_default())
}

/// Whether the Lease is held by this process: its identity is the name that the process was given, with a random ending.
fn is_held_by(lease: &LeaseSpec, process: &Process) -> bool {
    let held = lease.holder_identity.as_deref().and_then(|holder| holder.rsplit_once('_'));
    held.is_some_and(|(name, _)| name == process.name())
}

/// Waits until the drain of the first node, which has a pod that its budget never lets go, says so: from here on the node is in
/// flight for as long as the budget has no room.
async fn wait_for_the_drain_without_room(fleet: &Fleet) {
    eventually("the first node to be in the middle of its drain", PATIENCE, async || {
        let message = fleet.shadow("node-1").await?.status.and_then(|status| status.message).unwrap_or_default();
        Ok(message.contains("default/pinned").then_some(()))
    })
    .await
    .unwrap();
}

/// A fleet whose first node alone has the pod that cannot go.
async fn with_a_drain_without_room_on_the_first_node() -> (Fleet, e2e::observer::Observer) {
    let (fleet, observer) = fleet(4).await;
    let others = ["node-2", "node-3", "node-4"];
    fleet.plane.kubectl(["cordon"].iter().chain(&others)).await.unwrap();
    PINNED.run(&fleet.plane, PATIENCE).await.unwrap();
    fleet.plane.kubectl(["uncordon"].iter().chain(&others)).await.unwrap();
    (fleet, observer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_goes_on_when_the_leader_is_killed_in_the_middle_of_a_rollout() {
    let (fleet, observer) = with_a_drain_without_room_on_the_first_node().await;
    let second = fleet.second_controller().await.unwrap();
    // One at a time, and the first one first: all others wait for it.
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.edit_policy("default", json!({"paused": true})).await.unwrap();
    fleet.publish(&NEW);
    held_for(&fleet, "Paused", 4).await;
    fleet.edit_policy("default", json!({"paused": false})).await.unwrap();
    wait_for_the_drain_without_room(&fleet).await;
    // Stopped, it can give nothing up and finish nothing: what is seen now is what it leaves.
    fleet.controller.signal(Signal::STOP).unwrap();
    let before = lease(&fleet).await.unwrap();
    assert!(is_held_by(&before, &fleet.controller), "the one that is killed leads: {before:?}");
    let killed = fleet.controller.kill().unwrap();
    assert_eq!(killed.signal(), Some(9));
    let in_flight: Vec<_> = asked(&fleet).await.into_iter().filter(|(_, state)| *state != State::Idle).collect();
    assert_eq!(in_flight, [("brs-node-1".to_owned(), State::RebootedIntoUpdate)], "it is killed in the middle");
    assert!(fleet.boots().values().all(|boots| *boots == 0), "{:?}", fleet.boots());

    let after = eventually("the second controller to take the lease over", PATIENCE, async || {
        Ok(Some(lease(&fleet).await?).filter(|lease| is_held_by(lease, &second)))
    })
    .await
    .unwrap();
    assert!(after.lease_transitions > before.lease_transitions, "{before:?}, then {after:?}");
    assert!(after.acquire_time > before.acquire_time, "{before:?}, then {after:?}");
    let room = json!({"spec": {"maxUnavailable": 1}}).to_string();
    fleet.plane.kubectl(["patch", "pdb", "pinned", "--type=merge", "-p", &room]).await.unwrap();
    fleet.updated(&NEW, 4, PATIENCE).await.unwrap();
    fleet.plane.kubectl(&["wait", "--for=condition=UpToDate", "--timeout=60s", "bup/default"]).await.unwrap();
    assert!(second.is_running() && !fleet.controller.is_running());
    let end = lease(&fleet).await.unwrap();
    assert_eq!(end.holder_identity, after.holder_identity, "it leads to the end");
    assert_eq!(end.lease_transitions, after.lease_transitions);
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
    assert_eq!(observer.report().peaks.overall.in_flight, 1);
}
