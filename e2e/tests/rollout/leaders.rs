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
    // From here on the first node is in flight for as long as the budget has no room.
    fleet.says("node-1", "default/pinned", PATIENCE).await.unwrap();
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
    assert_eq!(after.lease_transitions, before.lease_transitions.map(|transitions| transitions + 1));
    assert!(after.acquire_time > before.acquire_time, "{before:?}, then {after:?}");
    PINNED.allow(&fleet.plane, 1).await.unwrap();
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
