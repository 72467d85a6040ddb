//! The memory that requests take.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use axum::routing::post;
use axum::{Extension, Router};
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prometheus::{Registry, TextEncoder};
use runtime::server::{Limits, Refused, RequestMemory};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::wire::{Server, exchange, fixed_tls, handshake, rest};

const HONEST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const KIB: usize = 1 << 10;

/// `/waits` reads no body and answers after half a minute, `/reads` answers with a length at once.
fn routes() -> Router {
    let waits = async || {
        sleep(Duration::from_secs(30)).await;
        "waited"
    };
    let reads = async |body: Bytes| format!("{} bytes", body.len());
    Router::new().route("/waits", post(waits)).route("/reads", post(reads))
}

/// A mebibyte, of which a quarter is kept for those who are known.
fn small() -> Limits {
    Limits { request_bytes: 1024 * KIB, body_bytes: 256 * KIB, ..Limits::default() }
}

fn head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n")
}

/// A request that owes its body.
async fn owing(server: &Server, address: Ipv4Addr, length: usize) -> DuplexStream {
    let mut io = server.connect_from(address).await;
    io.write_all(head("/waits", length).as_bytes()).await.unwrap();
    io
}

async fn sends(server: &Server, address: Ipv4Addr, length: usize) -> String {
    let mut io = server.connect_from(address).await;
    let request = head("/reads", length) + &"a".repeat(length);
    exchange(&mut io, &request, " bytes").await
}

/// What is answered at once.
async fn answer(io: &mut DuplexStream) -> Option<String> {
    let end = "\r\n\r\n";
    timeout(Duration::from_secs(1), exchange(io, "", end)).await.ok()
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_announced_are_charged_unread_and_one_address_has_half_of_what_there_is() {
    let registry = Registry::new();
    let limits = Limits { refused: Refused::register(&registry).unwrap(), ..small() };
    let server = Server::start(None, routes(), limits);
    let mut owed = Vec::new();
    for _ in 0..3 {
        owed.push(owing(&server, OTHER, 100 * KIB).await);
    }
    for io in &mut owed {
        assert_eq!(answer(io).await, None, "it is let in");
    }
    let refused = answer(&mut owing(&server, OTHER, 100 * KIB).await).await.expect("there is no memory");
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    let begin = Instant::now();
    assert!(sends(&server, HONEST, 64 * KIB).await.ends_with("65536 bytes"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
    drop(owed);
    sleep(Duration::from_secs(31)).await;
    assert_eq!(answer(&mut owing(&server, OTHER, 200 * KIB).await).await, None, "all was given back");
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains("brupop_requests_refused_total{reason=\"memory\"} 1\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_refused_unread_or_where_it_says_nothing_at_its_limit() {
    let server = Server::start(None, routes(), small());
    let refused = answer(&mut owing(&server, OTHER, 256 * KIB + 1).await).await.expect("it is too large");
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    let mut io = server.connect_from(OTHER).await;
    let chunked = "POST /reads HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    io.write_all(chunked.as_bytes()).await.unwrap();
    let chunk = format!("8000\r\n{}\r\n", "a".repeat(0x8000));
    let (mut read, mut write) = tokio::io::split(io);
    let writes = async {
        while write.write_all(chunk.as_bytes()).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = rest(&mut read) => assert!(!answer.starts_with("HTTP/1.1 200 "), "{answer}"),
        () = writes => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_outlives_its_request_keeps_what_it_holds() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps = {
        let kept = kept.clone();
        async move |Extension(held): Extension<RequestMemory>, body: Bytes| {
            kept.lock().await.push(held);
            format!("{} bytes", body.len())
        }
    };
    let server = Server::start(None, routes().route("/keeps", post(keeps)), small());
    let mut io = server.connect_from(OTHER).await;
    exchange(&mut io, &(head("/keeps", 150 * KIB) + &"a".repeat(150 * KIB)), " bytes").await;
    let refused = answer(&mut owing(&server, OTHER, 150 * KIB).await).await.expect("it is still held");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    kept.lock().await.clear();
    assert_eq!(answer(&mut owing(&server, OTHER, 150 * KIB).await).await, None);
}

/// Sixty connections with as many requests as they may have, each with a body that nobody reads.
#[tokio::test(start_paused = true)]
async fn a_flood_of_bodies_over_http2_holds_no_more_than_its_share_and_keeps_nobody_from_being_served() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), routes(), Limits { request_bytes: 4096 * KIB, ..Limits::default() });
    let mut answers = JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..60 {
        let io = handshake(server.connect_from(OTHER).await, &ca, &["h2"]).await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..8 {
            let body = Full::new(Bytes::from(vec![b'a'; 64 * KIB]));
            let request = Request::post("https://localhost/waits").body(body).unwrap();
            let mut sender = sender.clone();
            answers.spawn(async move { sender.send_request(request).await.unwrap().status().as_u16() });
        }
        senders.push(sender);
    }
    sleep(Duration::from_secs(1)).await;
    let mut honest = handshake(server.connect_from(HONEST).await, &ca, &[]).await.unwrap();
    let begin = Instant::now();
    let request = head("/reads", 64 * KIB) + &"a".repeat(64 * KIB);
    exchange(&mut honest, &request, "65536 bytes").await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    let answers = answers.join_all().await;
    let served = answers.iter().filter(|status| **status == 200).count();
    assert_eq!(answers.iter().filter(|status| **status == 503).count(), 480 - served);
    // Half of three quarters of the memory, for what is more than the bodies.
    assert!(served > 0 && served <= 4096 / 8 * 3 / 64, "{served}");
}
