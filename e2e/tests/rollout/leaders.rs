//! Two controllers, of which one is killed.

use api::names;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;

use crate::{NEW, PATIENCE, fleet, policy, wait_in_flight};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_goes_on_when_the_leader_is_killed_in_the_middle_of_a_rollout() {
    let (fleet, observer) = fleet(4).await;
    let second = fleet.second_controller().await.unwrap();
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet.publish(&NEW);
    wait_in_flight(&fleet, 2).await;
    let leases: Api<Lease> = Api::namespaced(fleet.plane.client(), names::DEFAULT_NAMESPACE);
    let lease = async || leases.get("brupop-controller").await.unwrap().spec.unwrap_or_default();
    let before: LeaseSpec = lease().await;
    fleet.controller.kill().unwrap();
    fleet.updated(&NEW, 4, PATIENCE).await.unwrap();
    fleet.plane.kubectl(&["wait", "--for=condition=UpToDate", "--timeout=60s", "bup/default"]).await.unwrap();
    let after: LeaseSpec = lease().await;
    assert_ne!(before.holder_identity, after.holder_identity, "another controller leads");
    assert_eq!(after.lease_transitions, before.lease_transitions.map(|transitions| transitions + 1));
    assert!(second.is_running());
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
}
