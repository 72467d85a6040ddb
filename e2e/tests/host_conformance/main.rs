//! Holds the simulated Bottlerocket host against what was recorded from the real server (`bottlerocket-captures/`).
//!
//! Every line of the matrix and every exchange of the flow is replayed, byte for byte but for dates and timestamps; once on
//! the machine itself and once through a socket, both in simulated time. What the recording did between two exchanges
//! (settings changed, versions published, programs broken) is written down in `flow.rs`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions that tests share fail as tests do"
)]

mod capture;
mod flow;
mod rig;
mod service;

use capture::{Exchange, Line, normal};
use e2e::host::{Command, Deed};
use rig::Rig;

const STATUS: &str = "/updates/status";

fn matrix() -> Vec<Line> {
    let lines = include_str!("../bottlerocket-captures/matrix-v1.16.1.jsonl").lines();
    lines.map(Line::parse).collect()
}

fn exchanges() -> Vec<Exchange> {
    capture::exchanges(include_str!("../bottlerocket-captures/flow-v1.16.1.txt"))
}

/// Brings a fresh host into the state that a line of the matrix begins with.
async fn bring_to(rig: &mut Rig, state: &str) {
    let commands: &[Command] = match state {
        "Uninitialized" => &[],
        "Idle" => {
            rig.perform(Deed::lock("1.16.1").unwrap());
            rig.settle().await;
            &[Command::Refresh]
        }
        "Available" => &[Command::Refresh],
        "Staged" => &[Command::Refresh, Command::Prepare],
        "Ready" => &[Command::Refresh, Command::Prepare, Command::Activate],
        other => panic!("unknown state {other}"),
    };
    for command in commands {
        rig.perform(Deed::Run(*command));
        rig.settle().await;
    }
}

async fn replay(line: &Line, rig: &mut Rig) {
    let name = format!("{} when {}", line.told.action, line.told.state);
    let command = Command::ALL.into_iter().find(|command| command.path().contains(&format!("/{}-", line.told.action)));
    let path = command.expect("a command").path();
    bring_to(rig, &line.told.state).await;

    let before = rig.body("GET", STATUS).await;
    assert_eq!(normal(&before), normal(&line.before), "{name}: before");

    let answer = rig.exchange("POST", path).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {} ", line.told.code)), "{name}: {answer}");
    assert_eq!(answer.split_once("\n\n").unwrap().1, line.told.body, "{name}");

    // The lock is held from the answer until the outcome can be read.
    let first_look = rig.exchange("GET", STATUS).await;
    assert_eq!(first_look.starts_with("HTTP/1.1 423 "), line.told.polls_423 > 0, "{name}: {first_look}");
    rig.settle().await;
    let after = rig.body("GET", STATUS).await;
    assert_eq!(normal(&after), normal(&line.after), "{name}: after");
    assert_eq!(before == after, line.before == line.after, "{name}: {after}");
}

#[tokio::test(start_paused = true)]
async fn every_line_of_the_matrix_is_replayed_on_the_machine() {
    let lines = matrix();
    assert_eq!(lines.len(), 20);
    for line in &lines {
        replay(line, &mut Rig::direct()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_line_of_the_matrix_is_replayed_through_a_socket() {
    for line in &matrix() {
        replay(line, &mut Rig::socket().await).await;
    }
}

/// The exchanges in the recorded order, each after what the recording had done before it.
async fn play(rig: &mut Rig) {
    let exchanges = exchanges();
    assert_eq!(exchanges.len(), 79);
    let scenes = flow::scenes();
    let names: Vec<_> = exchanges.iter().map(|exchange| exchange.name.as_str()).collect();
    assert_eq!(names, scenes.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (exchange, (name, directions)) in exchanges.iter().zip(scenes) {
        for direction in directions {
            rig.follow(name, direction).await;
        }
        let answer = rig.exchange(&exchange.method, &exchange.path).await;
        assert_eq!(normal(&answer), normal(&exchange.answer), "{name}");
    }
    rig.settle().await;
    rig.follow("the end", flow::see(flow::exit_three)).await;
}

#[tokio::test(start_paused = true)]
async fn every_exchange_of_the_flow_is_replayed_on_the_machine() {
    play(&mut Rig::direct()).await;
}

#[tokio::test(start_paused = true)]
async fn every_exchange_of_the_flow_is_replayed_through_a_socket() {
    play(&mut Rig::socket().await).await;
}
