//! What an agent says of itself while others are away.

use std::time::Duration;

use e2e::host::Service;
use tokio::time::Instant;

use crate::double::Script;
use crate::node::{Node, updated};

/// What was seen of an agent: when, whether it was heard, and whether it was alive.
struct Seen {
    after: Duration,
    heard: bool,
    alive: bool,
}

/// Watches one agent for `time`.
async fn watch(node: &mut Node, time: Duration) -> Vec<Seen> {
    let seen = std::cell::RefCell::new(Vec::new());
    let (health, contact, begin) = (node.health.clone(), node.contact.clone(), Instant::now());
    let agents = node.agents;
    node.until(|_, _| {
        let after = begin.elapsed();
        seen.borrow_mut().push(Seen { after, heard: contact.is_recent(), alive: health.stuck().is_empty() });
        after > time
    })
    .await;
    assert_eq!(node.agents, agents + 1, "the process has ended");
    seen.into_inner()
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_alive_while_the_apiserver_is_away_but_not_heard() {
    let mut node = Node::start(Script::default()).await;
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    // A poll takes 80 s at most, so that the last answer is at most that old when the apiserver goes.
    node.double.look().away = Some((Instant::now() + minutes(5), Instant::now() + minutes(35)));
    let seen = watch(&mut node, minutes(40)).await;
    assert!(seen.iter().all(|seen| seen.alive));
    let heard_in = |from: u64, to: u64| {
        seen.iter().filter(move |it| minutes(from) < it.after && it.after < minutes(to)).map(|it| it.heard)
    };
    assert!(heard_in(1, 5).all(|heard| heard));
    assert!(heard_in(5, 6).any(|heard| heard), "at once not heard");
    assert!(heard_in(9, 35).all(|heard| !heard));
    assert!(heard_in(36, 40).all(|heard| heard), "the apiserver is back");
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_alive_and_heard_while_its_host_is_silent() {
    let mut node = Node::start(Script::smooth()).await;
    node.until(|double, _| double.look().cordoned).await;
    node.host.set_service(Service::Silent).unwrap();
    let seen = watch(&mut node, Duration::from_secs(1800)).await;
    assert!(seen.iter().all(|seen| seen.alive && seen.heard));
    node.host.set_service(Service::Serving).unwrap();
    node.until(updated).await;
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_goes_round_no_more_is_not_alive() {
    let mut node = Node::start(Script::default()).await;
    let seen = watch(&mut node, Duration::from_secs(60)).await;
    assert!(seen.iter().all(|seen| seen.alive));
    // Nobody drives the node any more: its loop has no next round.
    tokio::time::advance(agent::run::STUCK + Duration::from_secs(61)).await;
    let stuck: Vec<_> = node.health.stuck().into_iter().map(|(name, _)| name).collect();
    assert_eq!(stuck, ["cycle"]);
}

/// The sum of a metric's series with these labels over all agents of a node.
fn counted(node: &Node, name: &str, labels: &[(&str, &str)]) -> f64 {
    let registries = node.registries.lock().unwrap();
    let families = registries.iter().flat_map(prometheus::Registry::gather).filter(|family| family.name() == name);
    let series = families.flat_map(|family| family.get_metric().to_vec()).filter(|series| {
        labels.iter().all(|(name, value)| {
            series.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
        })
    });
    series.map(|series| series.get_counter().get_value() + series.get_gauge().get_value()).sum()
}

#[tokio::test(start_paused = true)]
async fn what_an_update_takes_is_counted_by_action_result_and_activity() {
    let mut node = Node::start(Script { drain: Duration::from_secs(20), ..Script::smooth() }).await;
    node.until(updated).await;
    let actions = |action: &str, result: &str| {
        counted(&node, "brupop_agent_actions_total", &[("action", action), ("result", result)])
    };
    for action in ["create", "prepare", "activate", "reboot", "pin", "unpin"] {
        assert_eq!(actions(action, "ok"), 1.0, "{action}");
    }
    // The first report comes after the node was given back, whatever an earlier agent may have left.
    assert_eq!(actions("uncordon", "ok"), 2.0);
    assert!(actions("drain", "progress") >= 1.0 && actions("drain", "ok") >= 2.0);
    assert_eq!(actions("prepare", "failed"), 0.0);
    let seconds = |activity: &str| counted(&node, "brupop_agent_activity_seconds_total", &[("activity", activity)]);
    assert!((19.0..23.0).contains(&seconds("Draining")), "{}", seconds("Draining"));
    assert!((1.0..3.0).contains(&seconds("Staging")), "{}", seconds("Staging"));
    assert!(node.last_contact.get() > 1_700_000_000.0);
}
