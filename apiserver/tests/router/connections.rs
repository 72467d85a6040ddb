//! Callers over real connections: those that hang up, and those that nobody knows.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use api::wire::{AGENT_VERSION_HEADER, CORDON_AND_DRAIN, NODE_NAME_HEADER, TOKEN_HEADER};
use apiserver::router::router;
use axum::serve::Listener;
use runtime::server::{Limits, listen, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::fake::{pod_path, status};
use crate::site::{Site, pod};
use crate::tokens::good;

/// A node with a pod that cannot be evicted, and where its apiserver listens.
async fn serving() -> (Site, SocketAddr) {
    serving_within(Limits::default()).await
}

async fn serving_within(limits: Limits) -> (Site, SocketAddr) {
    let site = Site::with_approval().await;
    site.world().put(&pod_path("web", "one"), pod("one"));
    site.world().evictions.insert("one".to_owned(), status(429, "TooManyRequests", "not now"));
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, None, router(site.app.clone()), limits, std::future::pending()));
    (site, address)
}

async fn ask_for_a_drain(address: SocketAddr, rest: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let good = good();
    let head = format!(
        "POST {CORDON_AND_DRAIN} HTTP/1.1\r\nhost: a\r\n{NODE_NAME_HEADER}: a\r\n{TOKEN_HEADER}: {good}\r\n\
         {AGENT_VERSION_HEADER}: 0.1.0\r\n"
    );
    connection.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
    connection
}

#[tokio::test(start_paused = true)]
async fn evictions_stop_within_a_second_whatever_body_the_caller_sent_or_owes() {
    for (rest, begins) in [
        ("\r\n", true),
        ("content-length: 1\r\n\r\nx", true),
        ("transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", true),
        ("content-length: 1\r\n\r\n", false),
        ("transfer-encoding: chunked\r\n\r\n1\r\nx\r\n", false),
    ] {
        let (site, address) = serving().await;
        let evictions = || site.world().count("/eviction");
        let connection = ask_for_a_drain(address, rest).await;
        sleep(Duration::from_secs(9)).await;
        assert_eq!(evictions() > 0, begins, "{rest:?}");
        drop(connection);
        sleep(Duration::from_secs(1)).await;
        let before = evictions();
        sleep(Duration::from_secs(600)).await;
        assert_eq!(evictions(), before, "{rest:?}");
        assert_eq!(site.app.open_requests.nodes(), 0, "{rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_owed_for_too_long_begins_nothing() {
    let (site, address) = serving().await;
    let _connection = ask_for_a_drain(address, "content-length: 1\r\n\r\n").await;
    sleep(Duration::from_secs(600)).await;
    assert!(!site.is_cordoned());
    assert!(site.world().writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn connections_count_as_unauthenticated_until_their_caller_has_proven_who_it_is() {
    let (site, address) = serving_within(Limits { unauthenticated_per_address: 2, ..Limits::default() }).await;
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(ask_for_a_drain(address, "\r\n").await);
        sleep(Duration::from_secs(1)).await;
    }
    assert!((site.scraped("brupop_apiserver_drains") - 6.0).abs() < 0.1);
    let mut silent = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    let closed = timeout(Duration::from_secs(20), silent.read(&mut [0])).await.expect("there is room for three");
    assert!(closed.is_err() || closed.is_ok_and(|read| read == 0));
    assert!((site.scraped("brupop_apiserver_drains") - 6.0).abs() < 0.1);
}
