//! The agent killed, and the machine power-cycled, at every single request.

use std::time::Duration;

use crate::double::Script;
use crate::interrupt::{Cut, Scissors};
use crate::node::{Node, updated};

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

/// Cuts at each request, before it is sent and after it had its effect, and prints what came of it.
async fn matrix(what: &str, before: Cut, after: Cut) -> u32 {
    let requests = requests().await;
    for number in 1..=requests {
        let mut row = Vec::new();
        let mut step = String::new();
        for cut in [before, after] {
            let mut node = Node::cut(Script::smooth(), Scissors::at(number, cut)).await;
            let time = node.until(updated).await;
            // Of the second run, where the request was sent.
            step = node.scissors.names.lock().unwrap().get(row_of(number)).cloned().unwrap_or_default();
            let context = format!("{what} {cut:?} request {number}, {step}");
            node.assert_updated(&context);
            let boots = node.boots_by_agent();
            assert!(boots <= 1, "{context}: {boots} boots");
            assert!(node.double.look().given_back <= 1, "{context}");
            assert!(time < Duration::from_secs(120), "{context}: {time:?}");
            row.push(format!("updated in {:4.1} s, {boots} reboot by the agent", time.as_secs_f64()));
        }
        println!("| {number:2} {step:<55} | {what} killed before: {} | after: {} |", row[0], row[1]);
    }
    requests
}

fn row_of(number: u32) -> usize {
    usize::try_from(number).unwrap() - 1
}

#[tokio::test(start_paused = true)]
async fn an_agent_killed_at_any_request_goes_on_after_it() {
    assert!(matrix("agent", Cut::Before, Cut::After).await > 30);
}

#[tokio::test(start_paused = true)]
async fn a_machine_power_cycled_at_any_request_is_updated_all_the_same() {
    assert!(matrix("machine", Cut::PowerBefore, Cut::PowerAfter).await > 30);
}
