//! Out of the load balancers before the drain.

use std::time::Duration;

use api::shadow::Activity;
use e2e::host::Deed;
use tokio::time::Instant;

use crate::double::{Double, Script};
use crate::node::{Node, updated};

fn waiting(double: &Double) -> bool {
    double
        .look()
        .status()
        .is_some_and(|status| status.activity == Some(Activity::ExcludingFromLoadBalancer) && status.message.is_some())
}

fn script() -> Script {
    Script { exclusion: 90, ..Script::smooth() }
}

/// From the exclusion to the drain.
fn waited(node: &Node) -> Duration {
    let inside = node.double.look();
    inside.drain_asked.unwrap().duration_since(inside.excluded.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_node_leaves_the_load_balancers_for_the_wait_and_comes_back() {
    let mut node = Node::start(script()).await;
    node.until(|double, _| double.look().drain_asked.is_some()).await;
    let waited = waited(&node);
    assert!((90.0..92.0).contains(&waited.as_secs_f64()), "{waited:?}");
    node.until(updated).await;
    node.assert_updated("excluded");
    let inside = node.double.look();
    assert_eq!((inside.exclusions, inside.given_back), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_wait_there_is_no_exclusion() {
    let mut node = Node::start(Script::smooth()).await;
    node.until(updated).await;
    assert_eq!(node.double.look().exclusions, 0);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_killed_while_it_waits_does_not_wait_anew() {
    let mut node = Node::start(script()).await;
    node.until(|double, _| waiting(double)).await;
    let begin = Instant::now();
    // Each call is the life of another process.
    for seconds in [30, 60, 80] {
        node.until(|_, _| begin.elapsed() > Duration::from_secs(seconds)).await;
    }
    node.until(|double, _| double.look().drain_asked.is_some()).await;
    node.until(updated).await;
    node.assert_updated("killed while excluded");
    assert_eq!(node.double.look().exclusions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_power_cycle_while_excluded_ends_in_one_update_all_the_same() {
    let mut node = Node::start(script()).await;
    node.until(|double, _| waiting(double)).await;
    node.host.perform(Deed::PowerCycle);
    node.until(updated).await;
    node.assert_updated("power-cycled while excluded");
    assert_eq!(node.reboots(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_approval_withdrawn_while_excluded_gives_the_label_back() {
    let mut node = Node::start(script()).await;
    node.until(|double, _| waiting(double)).await;
    node.double.edit(|inside| inside.shadow.as_mut().unwrap().spec = api::shadow::BottlerocketShadowSpec::default());
    node.until(|double, _| double.look().is_at_rest()).await;
    assert_eq!(node.reboots(), 0);
    let inside = node.double.look();
    assert!(inside.excluded.is_none() && !inside.cordoned);
    assert_eq!(inside.given_back, 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_clock_is_slow_says_once_until_when_it_waits() {
    let mut node = Node::start(Script { exclusion: 300, ..Script::smooth() }).await;
    node.wall = || crate::node::wall() - Duration::from_secs(1800);
    node.until(updated).await;
    node.assert_updated("half an hour behind");
    let reports = node.double.look().reports.clone();
    let waits = reports.iter().filter(|it| it.activity == Some(Activity::ExcludingFromLoadBalancer));
    assert!(waits.count() <= 2, "{reports:#?}");
}
