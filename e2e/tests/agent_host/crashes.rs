//! What may happen to a node, at the single requests of its agent: a table of the request, what happens and the outcome.

use std::time::Duration;

use e2e::host::Deed;

use crate::double::Script;
use crate::interrupt::{Blow, Scissors, When};
use crate::node::{NEW, Node, updated};

#[tokio::test(start_paused = true)]
async fn a_node_goes_its_way_with_one_reboot_and_little_waiting_of_its_own() {
    let mut node = Node::start(Script::smooth()).await;
    let time = node.until(updated).await;
    node.assert_updated("smooth");
    assert_eq!(node.reboots(), 1);
    assert_eq!(node.agents, 2);
    assert_eq!(node.double.look().given_back, 1);
    // Prepare 2 s, drain 8 s, shutdown and boot 4.3 s at most; the rest is the agent's own waiting.
    eprintln!("one update: {time:?}, {} requests, {} reports", node.scissors.count(), node.double.look().reports.len());
    assert!(time < Duration::from_secs(20), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_has_one_long_poll_open_and_checks_at_its_interval() {
    let mut node = Node::start(Script::default()).await;
    let begin = tokio::time::Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(60)).await;
    let requests = |node: &Node| {
        let inside = node.double.look();
        (inside.requests, node.host.counts().total_requests(), inside.reports.len())
    };
    let before = requests(&node);
    let begin = tokio::time::Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(3600)).await;
    let after = requests(&node);
    eprintln!("idle for an hour: {} calls, {} host requests", after.0 - before.0, after.1 - before.1);
    // A poll a minute; a check every two minutes is one refresh, and a status before and after it.
    assert!(after.0 - before.0 <= 70, "{before:?} {after:?}");
    assert!(after.1 - before.1 <= 36 * 6 + 70, "{before:?} {after:?}");
    assert_eq!(after.2, before.2, "reports although nothing changed");
}

/// Every request of an undisturbed update.
async fn requests() -> u32 {
    let mut node = Node::start(Script::smooth()).await;
    node.until(updated).await;
    node.scissors.count()
}

/// Has `blow` happen at each request, or at every `stride`th, before it is sent and after it had its effect, and prints what
/// came of it.
async fn matrix(what: &str, blow: Blow, stride: usize) {
    let requests = requests().await;
    assert!(requests > 30, "an update of {requests} requests is none");
    for number in (1..=requests).step_by(stride) {
        let mut row = Vec::new();
        let mut step = String::new();
        for when in [When::Before, When::After] {
            let mut node = Node::cut(Script::smooth(), Scissors::at(number, blow, when)).await;
            let time = node.until(updated).await;
            // Of the second run, where the request was sent.
            step = node.scissors.names.lock().unwrap().get(row_of(number)).cloned().unwrap_or_default();
            let context = format!("{what} {when:?} request {number}, {step}");
            let pinned = node.lock().is_some();
            if blow == Blow::NodeAnew {
                // Whose lock it is was written on the Node and nowhere else.
                assert!([None, Some(NEW)].contains(&node.lock()), "{context}");
                node.host.perform(Deed::lock("latest").unwrap());
            }
            node.assert_updated(&context);
            let boots = node.boots_by_agent();
            assert!(boots <= 1, "{context}: {boots} boots");
            assert!(node.double.look().given_back <= 1 + u32::from(blow == Blow::ShadowDeleted), "{context}");
            assert!(time < Duration::from_secs(330), "{context}: {time:?}");
            let pinned = if pinned { ", lock left" } else { "" };
            row.push(format!("updated in {:5.1} s, {boots} reboot by the agent{pinned}", time.as_secs_f64()));
        }
        println!("| {number:2} {step:<55} | {what} before: {} | after: {} |", row[0], row[1]);
    }
}

fn row_of(number: u32) -> usize {
    usize::try_from(number).unwrap() - 1
}

#[tokio::test(start_paused = true)]
async fn an_agent_killed_at_any_request_goes_on_after_it() {
    matrix("agent killed", Blow::Kill, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_power_cycled_at_any_request_is_updated_all_the_same() {
    matrix("machine power-cycled", Blow::PowerCycle, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_shadow_deleted_at_any_request_costs_at_most_a_second_try() {
    matrix("shadow deleted", Blow::ShadowDeleted, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_registered_anew_at_every_other_request_costs_at_most_a_second_try() {
    matrix("node registered anew", Blow::NodeAnew, 2).await;
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_goes_away_at_every_third_request_is_waited_for() {
    matrix("apiserver away", Blow::ApiserverAway, 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_away_at_every_third_request_is_waited_for() {
    matrix("host away", Blow::HostAway, 3).await;
}
