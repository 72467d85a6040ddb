use std::time::Duration;

use axum::body::Bytes;
use axum::routing::{get, post};
use axum::{Extension, Router};
use runtime::server::{Connection, Limits};
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

#[tokio::test(start_paused = true)]
async fn a_connection_beyond_the_limit_waits_for_one_to_close() {
    let server = Server::start(None, hello(), Limits { connections: 1, ..Limits::default() });
    let mut first = server.connect().await;
    exchange(&mut first, GET, "hello").await;
    let mut second = server.connect().await;
    let begin = Instant::now();
    let close = async {
        sleep(Duration::from_secs(7)).await;
        drop(first);
    };
    let answered = async {
        exchange(&mut second, GET, "hello").await;
        begin.elapsed()
    };
    let ((), waited) = tokio::join!(close, answered);
    assert_eq!(waited, Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn strangers_of_one_peer_are_bounded_and_who_is_known_is_none() {
    let known = async |Extension(connection): Extension<Connection>| {
        let _proven = connection.proven();
        sleep(Duration::from_secs(30)).await;
        "known"
    };
    let routes = hello().route("/known", get(known));
    let server = Server::start(None, routes, Limits { strangers: 1, ..Limits::default() });
    let mut first = server.connect().await;
    exchange(&mut first, GET, "hello").await;
    let begin = Instant::now();
    assert_eq!(rest(&mut server.connect().await).await, "");
    assert_eq!(begin.elapsed(), Duration::ZERO, "at once");
    let others = async {
        sleep(Duration::from_secs(1)).await;
        let mut second = server.connect().await;
        exchange(&mut second, GET, "hello").await;
        assert_eq!(rest(&mut server.connect().await).await, "", "the second one is a stranger's");
    };
    let request = GET.replace("GET /", "GET /known");
    tokio::join!(exchange(&mut first, &request, "known"), others);
    exchange(&mut first, GET, "hello").await;
    assert_eq!(
        rest(&mut server.connect().await).await,
        "",
        "the answer is given, and the first one a stranger's again"
    );
    drop(first);
    sleep(Duration::from_secs(1)).await;
    exchange(&mut server.connect().await, GET, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_handshake_holds_up_nobody_and_is_cut() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), hello(), Limits { handshakes: 2, ..Limits::default() });
    let begin = Instant::now();
    let mut silent = server.connect().await;
    let mut prompt = handshake(server.connect().await, &ca, &[]).await.unwrap();
    exchange(&mut prompt, GET, "hello").await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(begin.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn handshakes_beyond_the_limit_wait_no_longer_than_their_own_time() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), hello(), Limits { handshakes: 1, ..Limits::default() });
    let _silent = server.connect().await;
    let begin = Instant::now();
    sleep(Duration::from_secs(4)).await;
    // Let in when the silent one is cut, at ten seconds.
    handshake(server.connect().await, &ca, &[]).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(10));
}
