use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use runtime::server::Limits;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::wire::{GET, Server, exchange, fixed_tls, handshake, hello, rest};

/// Writes one piece a second until the server has hung up.
async fn trickle(io: tokio::io::DuplexStream, first: &str, piece: &str) -> (String, Duration) {
    let begin = Instant::now();
    let (mut read, mut write) = tokio::io::split(io);
    write.write_all(first.as_bytes()).await.unwrap();
    let trickling = async {
        while write.write_all(piece.as_bytes()).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = rest(&mut read) => (answer, begin.elapsed()),
        () = trickling => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_cut() {
    let server = Server::start(None, hello(), Limits::default());
    let (answer, took) = trickle(server.connect().await, "GET / HTTP/1.1\r\n", "a: b\r\n").await;
    assert_eq!((answer.as_str(), took), ("", Duration::from_secs(65)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_refused() {
    let routes = Router::new().route("/", post(|body: Bytes| async move { body }));
    let server = Server::start(None, routes, Limits::default());
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n";
    let (answer, took) = trickle(server.connect().await, head, "a").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(took <= Duration::from_secs(11), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_a_silent_http2_one_too() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), hello(), Limits::default());
    for alpn in ["http/1.1", "h2"] {
        let mut io = handshake(server.connect().await, &ca, &[alpn]).await.unwrap();
        if alpn != "h2" {
            exchange(&mut io, GET, "hello").await;
        }
        let begin = Instant::now();
        rest(&mut io).await;
        let took = begin.elapsed();
        assert!(took >= Duration::from_secs(60) && took <= Duration::from_secs(65), "{alpn}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_is_not_idle() {
    let waits = || async {
        sleep(Duration::from_secs(3600)).await;
        "done"
    };
    let server = Server::start(None, Router::new().route("/", get(waits)), Limits::default());
    let mut io = server.connect().await;
    let answer = exchange(&mut io, GET, "done").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_large_is_431() {
    let server = Server::start(None, hello(), Limits::default());
    for (bytes, status) in [(15 << 10, "HTTP/1.1 200 "), (16 << 10, "HTTP/1.1 431 ")] {
        let mut io = server.connect().await;
        let request =
            format!("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: {}\r\n\r\n", "a".repeat(bytes));
        io.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut io).await;
        assert!(answer.starts_with(status), "{bytes}: {answer}");
    }
}
