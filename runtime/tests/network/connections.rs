//! Who gets a connection where there are more than there may be.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use prometheus::{Registry, TextEncoder};
use runtime::server::{Connection, Limits, Refused};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use crate::wire::{GET, Server, exchange, hello, rest};

const HONEST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const THIRD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

/// Whether the server has closed it by now.
async fn is_closed(io: &mut DuplexStream) -> bool {
    timeout(Duration::from_millis(1), io.read(&mut [0])).await.is_ok()
}

async fn closed(connections: &mut [DuplexStream]) -> Vec<usize> {
    let mut closed = Vec::new();
    for (index, io) in connections.iter_mut().enumerate() {
        if is_closed(io).await {
            closed.push(index);
        }
    }
    closed
}

/// Connections on each of which a request was answered.
async fn idle(server: &Server, address: Ipv4Addr, count: usize) -> Vec<DuplexStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut io = server.connect_from(address).await;
        exchange(&mut io, GET, "hello").await;
        connections.push(io);
    }
    connections
}

/// A route whose caller is proven for half a minute, and one that waits as long without.
fn routes() -> Router {
    let known = async |Extension(connection): Extension<Connection>| {
        let _proven = connection.proven();
        sleep(Duration::from_secs(30)).await;
        "known"
    };
    let waits = async || {
        sleep(Duration::from_secs(30)).await;
        "waited"
    };
    hello().route("/known", get(known)).route("/waits", get(waits))
}

fn ask(path: &str) -> String {
    GET.replace("GET /", &format!("GET {path}"))
}

#[tokio::test(start_paused = true)]
async fn the_address_with_most_connections_makes_room_for_another() {
    let server = Server::start(None, routes(), Limits { connections: 5, ..Limits::default() });
    let mut others = idle(&server, OTHER, 3).await;
    let mut third = idle(&server, THIRD, 2).await;
    let mut honest = server.connect_from(HONEST).await;
    let begin = Instant::now();
    exchange(&mut honest, GET, "hello").await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(closed(&mut others).await, [0], "the one that has waited longest");
    assert!(closed(&mut third).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_everybody_has_as_many_the_new_one_is_refused_at_once() {
    let server = Server::start(None, routes(), Limits { connections: 2, ..Limits::default() });
    let (mut others, mut third) = (idle(&server, OTHER, 1).await, idle(&server, THIRD, 1).await);
    let begin = Instant::now();
    assert_eq!(rest(&mut server.connect_from(HONEST).await).await, "");
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert!(closed(&mut others).await.is_empty() && closed(&mut third).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn unauthenticated_connections_of_one_address_are_bounded_and_proven_ones_do_not_count() {
    let server = Server::start(None, routes(), Limits { unauthenticated_per_address: 1, ..Limits::default() });
    let mut first = server.connect().await;
    exchange(&mut first, GET, "hello").await;
    let begin = Instant::now();
    assert_eq!(rest(&mut server.connect().await).await, "");
    assert_eq!(begin.elapsed(), Duration::ZERO, "at once");
    let others = async {
        sleep(Duration::from_secs(1)).await;
        let mut second = server.connect().await;
        exchange(&mut second, GET, "hello").await;
        assert_eq!(rest(&mut server.connect().await).await, "", "the second one is unauthenticated");
    };
    let known = ask("/known");
    tokio::join!(exchange(&mut first, &known, "known"), others);
    exchange(&mut first, GET, "hello").await;
    assert_eq!(rest(&mut server.connect().await).await, "", "the answer is given, and the first one counts again");
    drop(first);
    sleep(Duration::from_secs(1)).await;
    exchange(&mut server.connect().await, GET, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn of_one_address_what_is_silent_makes_room_at_once_what_is_idle_after_a_second_what_waits_never() {
    let server = Server::start(None, routes(), Limits { unauthenticated_per_address: 3, ..Limits::default() });
    let mut connections = vec![server.connect().await];
    sleep(Duration::from_millis(1)).await;
    let mut waiting = server.connect().await;
    let waits = ask("/waits");
    let waiting = tokio::spawn(async move { exchange(&mut waiting, &waits, "waited").await });
    connections.extend(idle(&server, Ipv4Addr::LOCALHOST, 2).await);
    assert_eq!(closed(&mut connections).await, [0], "the silent one");
    assert_eq!(rest(&mut server.connect().await).await, "");
    sleep(Duration::from_secs(1)).await;
    exchange(&mut server.connect().await, GET, "hello").await;
    assert_eq!(closed(&mut connections).await, [0, 1]);
    assert!(waiting.await.unwrap().ends_with("waited"));
}

#[tokio::test(start_paused = true)]
async fn an_address_from_which_a_caller_was_proven_lately_finds_room_that_others_cannot_take() {
    let limits = Limits { connections: 4, unauthenticated: 2, ..Limits::default() };
    let server = Server::start(None, routes(), limits);
    let mut known = server.connect_from(HONEST).await;
    exchange(&mut known, &ask("/known"), "known").await;
    drop(known);
    sleep(Duration::from_millis(1)).await;
    let _others = (idle(&server, OTHER, 1).await, idle(&server, THIRD, 1).await);
    let fourth = Ipv4Addr::new(10, 0, 0, 4);
    assert_eq!(rest(&mut server.connect_from(fourth).await).await, "");
    let kept = idle(&server, HONEST, 2).await;
    drop(kept);
    sleep(Duration::from_secs(600)).await;
    let _others = (idle(&server, OTHER, 1).await, idle(&server, THIRD, 1).await);
    assert_eq!(rest(&mut server.connect_from(HONEST).await).await, "", "that was too long ago");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_address_leaves_the_probes_of_another_alone() {
    let server = Server::start(None, routes(), Limits::probes());
    let mut flood = Vec::new();
    for last in 2..12 {
        for _ in 0..16 {
            flood.push(server.connect_from(Ipv4Addr::new(10, 0, 0, last)).await);
        }
    }
    for _ in 0..3 {
        let begin = Instant::now();
        exchange(&mut server.connect_from(HONEST).await, GET, "hello").await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_counted_by_its_reason() {
    let registry = Registry::new();
    let refused = Refused::register(&registry).unwrap();
    let limits = Limits { connections: 3, unauthenticated_per_address: 2, refused, ..Limits::default() };
    let server = Server::start(None, routes(), limits);
    let _others = idle(&server, OTHER, 2).await;
    assert_eq!(rest(&mut server.connect_from(OTHER).await).await, "");
    let _honest = (idle(&server, HONEST, 1).await, idle(&server, THIRD, 1).await);
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for (reason, count) in [("address", 1), ("evicted", 1), ("full", 0), ("handshake", 0), ("hello", 0)] {
        let line = format!("brupop_connections_refused_total{{reason=\"{reason}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}
