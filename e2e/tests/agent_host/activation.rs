//! Activations that take their time: nothing that nobody approved any more stays the image to boot.

use std::cell::Cell;
use std::time::Duration;

use api::shadow::{Activity, FailureKind, State};
use e2e::host::{Command, Host, UpdateState};
use tokio::time::Instant;

use crate::double::{Double, Inside, Script};
use crate::node::{Node, OLD};

fn activating(_: &Double, host: &Host) -> bool {
    host.counts().command(Command::Activate).started == 1
}

fn update_state(host: &Host) -> Option<UpdateState> {
    host.with(|machine, _| machine.status().map(|status| status.update_state))
}

fn free(double: &Double, _: &Host) -> bool {
    !double.look().cordoned && double.look().mark.is_none()
}

/// Nothing is left to boot but what runs, and the shadow says so only then.
async fn assert_settled(node: &mut Node, context: &str) {
    node.until(|double, _| double.look().is_at_rest()).await;
    assert_ne!(update_state(&node.host), Some(UpdateState::Ready), "{context}: at rest with an image to boot");
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(300)).await;
    assert_ne!(update_state(&node.host), Some(UpdateState::Ready), "{context}: active later on");
    assert_eq!((node.reboots(), node.host.state().version, node.lock()), (0, OLD, None), "{context}");
}

#[tokio::test(start_paused = true)]
async fn a_node_taken_back_during_the_activation_is_free_at_once_and_at_rest_when_it_is_undone() {
    for restarted in [false, true] {
        for lost in [false, true] {
            let mut node = Node::slow(Script::smooth(), Duration::from_secs(40)).await;
            let take_back = move |inside: &mut Inside| {
                if lost {
                    inside.shadow = None;
                } else {
                    inside.shadow.as_mut().unwrap().spec = Default::default();
                }
            };
            let begin = Instant::now();
            if restarted {
                node.until(activating).await;
                node.double.edit(take_back);
            } else {
                let double = node.double.clone();
                let host = node.host.clone();
                tokio::spawn(async move {
                    while !activating(&double, &host) {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    double.edit(take_back);
                });
            }
            let context = format!("restarted {restarted}, lost {lost}");
            node.until(move |double, host| activating(double, host) && free(double, host)).await;
            assert!(begin.elapsed() < Duration::from_secs(30), "{context}: not free at once");
            assert_settled(&mut node, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_does_not_end_gives_the_node_back_and_is_undone_when_it_does() {
    let mut node = Node::slow(Script::smooth(), Duration::from_secs(3600)).await;
    let begin = Instant::now();
    let freed = Cell::new(None);
    let undone = |host: &Host| host.counts().command(Command::Deactivate).succeeded == 1;
    // One process sees it all.
    node.until(|double, host| {
        if freed.get().is_none() && activating(double, host) && free(double, host) {
            freed.set(Some(begin.elapsed()));
        }
        undone(host) && double.look().is_at_rest()
    })
    .await;
    let freed = freed.get().unwrap();
    assert!(freed < Duration::from_secs(600), "given back after {freed:?}");
    let status = node.double.look().status().unwrap().clone();
    assert_eq!(status.failure.unwrap().kind, FailureKind::Activate);
    assert_settled(&mut node, "an hour later").await;
}

#[tokio::test(start_paused = true)]
async fn while_an_activation_may_still_end_the_shadow_does_not_say_idle() {
    let mut node = Node::slow(Script::smooth(), Duration::from_secs(120)).await;
    node.until(activating).await;
    node.double.edit(|inside| inside.shadow.as_mut().unwrap().spec = Default::default());
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(60)).await;
    let status = node.double.look().status().unwrap().clone();
    assert_eq!((status.current_state, status.activity), (State::StagedAndPerformedUpdate, Some(Activity::GivingBack)));
    assert!(!node.double.look().cordoned);
    assert_settled(&mut node, "two minutes").await;
}
