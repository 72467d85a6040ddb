//! What a killed program costs: nothing.

use api::State;

use crate::{NEW, PATIENCE, asked, fleet, policy, wait_in_flight};

#[tokio::test(flavor = "multi_thread")]
async fn every_program_may_be_killed_in_the_middle_of_a_rollout() {
    let (fleet, observer) = fleet(3).await;
    fleet.plane.apply(&policy(1)).await.unwrap();
    fleet.publish(&NEW);
    wait_in_flight(&fleet, 1).await;
    fleet.controller.restart().unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    wait_in_flight(&fleet, 1).await;
    fleet.apiserver.restart().unwrap();
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    wait_in_flight(&fleet, 1).await;
    // The kubelet starts it again.
    let busy = asked(&fleet).await.into_iter().find(|(_, state)| *state != State::Idle).unwrap().0;
    fleet.agent(busy.strip_prefix("brs-").unwrap()).kill().unwrap();
    fleet.updated(&NEW, 3, PATIENCE).await.unwrap();
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
}
