//! A schedule that opens and closes in the middle of a rollout.

use api::{BottlerocketShadow, DisruptionRecord, State, names};
use e2e::controlplane::Signal;
use e2e::controlplane::wait::eventually;
use e2e::fleet::Fleet;
use jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use serde_json::json;

use crate::drains::PINNED;
use crate::policies::held_for;
use crate::{NEW, PATIENCE, fleet, policy};

/// How far ahead the schedule opens.
const OPENS_IN: SignedDuration = SignedDuration::from_secs(3);
/// How far ahead it closes again: far longer than it takes a node to begin.
const CLOSES_IN: SignedDuration = SignedDuration::from_secs(30);

/// Two blackouts, with the time between them open.
async fn open_between(fleet: &Fleet, opens: Timestamp, closes: Timestamp) {
    let hour = SignedDuration::from_hours(1);
    let blackouts = json!([
        {"start": (opens - hour).to_string(), "end": opens.to_string()},
        {"start": closes.to_string(), "end": (closes + hour).to_string(), "reason": "freeze"},
    ]);
    fleet.edit_policy("default", json!({"schedule": {"blackouts": blackouts}})).await.unwrap();
}

/// Waits until every node has its approval.
async fn all_are_approved(fleet: &Fleet) -> Vec<BottlerocketShadow> {
    eventually("every node to have its approval", PATIENCE, async || {
        let shadows = fleet.shadows().list(&ListParams::default()).await?.items;
        Ok(shadows.iter().all(|shadow| shadow.spec.state == State::RebootedIntoUpdate).then_some(shadows))
    })
    .await
    .unwrap()
}

async fn record(fleet: &Fleet, node: &str) -> Option<DisruptionRecord> {
    let node = fleet.node_objects().get(node).await.unwrap();
    DisruptionRecord::decode(node.metadata.annotations.as_ref()).unwrap()
}

/// In whole seconds, which is all that is stored of an instant in some places.
#[expect(clippy::disallowed_methods, reason = "the schedules of these tests open and close as they run")]
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap()
}

/// An instant of an optional field, as it is stored.
fn instant(text: Option<&str>) -> Timestamp {
    text.unwrap().parse().unwrap()
}

/// Two nodes, the one drain of which does not end, staged under a schedule that is closed.
async fn staged_before_the_window() -> (Fleet, e2e::observer::Observer) {
    let (fleet, observer) = fleet(2).await;
    fleet.plane.kubectl(["cordon", "node-2"]).await.unwrap();
    PINNED.run(&fleet.plane, PATIENCE).await.unwrap();
    fleet.plane.kubectl(["uncordon", "node-2"]).await.unwrap();
    fleet.plane.apply(&policy(2)).await.unwrap();
    let later = now() + SignedDuration::from_hours(1);
    open_between(&fleet, later, later + CLOSES_IN).await;
    fleet.publish(&NEW);
    eventually("both nodes to be staged", PATIENCE, async || {
        let shadows = fleet.shadows().list(&ListParams::default()).await?.items;
        let states = shadows.iter().filter_map(|shadow| shadow.status.as_ref()).map(|status| status.current_state);
        Ok((states.filter(|state| *state == State::StagedAndPerformedUpdate).count() == 2).then_some(()))
    })
    .await
    .unwrap();
    held_for(&fleet, "OutsideWindow", 2).await;
    (fleet, observer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disruption_begins_only_while_the_schedule_is_open_and_finishes_after_it_has_closed() {
    let (fleet, observer) = staged_before_the_window().await;
    // No agent hears of its approval until the apiserver goes on.
    fleet.apiserver.signal(Signal::STOP).unwrap();
    let (opens, closes) = (now() + OPENS_IN, now() + CLOSES_IN);
    open_between(&fleet, opens, closes).await;
    for shadow in all_are_approved(&fleet).await {
        assert!(instant(shadow.spec.state_transition_timestamp.as_deref()) >= opens, "{:?}", shadow.spec);
        let expires = instant(shadow.spec.disrupt_not_after.as_deref());
        assert!(expires <= closes, "the approval ends with the window: {expires}, {closes}");
    }
    // Nobody is left to take the approvals back, and the second node's agent is away until the schedule has closed.
    fleet.controller.kill().unwrap();
    fleet.agent("node-2").signal(Signal::STOP).unwrap();
    fleet.apiserver.signal(Signal::CONT).unwrap();
    fleet.says("node-1", "default/pinned", PATIENCE).await.unwrap();
    let began = record(&fleet, "node-1").await.unwrap().began;
    assert!((opens..closes).contains(&began), "{opens} {began} {closes}");
    eventually("the schedule to close", PATIENCE, async || Ok((now() > closes).then_some(()))).await.unwrap();
    fleet.agent("node-2").signal(Signal::CONT).unwrap();
    fleet.says("node-2", "the approval has expired", PATIENCE).await.unwrap();
    fleet.controller.restart().unwrap();
    held_for(&fleet, "OutsideWindow", 1).await;
    assert_eq!(record(&fleet, "node-2").await, None);
    // What was in the middle of its drain finishes.
    PINNED.allow(&fleet.plane, 1).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    assert_eq!((fleet.boots()["node-1"], fleet.boots()["node-2"]), (1, 0));
    let ignore = format!("{}={NEW}", names::IGNORE_WINDOW_ANNOTATION);
    fleet.plane.kubectl(["annotate", "node", "node-2", &ignore]).await.unwrap();
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    assert_eq!((fleet.boots()["node-1"], fleet.boots()["node-2"]), (1, 1));
    observer.assert_no_breach().await;
}
