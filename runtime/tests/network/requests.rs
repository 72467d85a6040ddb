use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::get;
use axum::serve::Listener;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use runtime::server::{Limits, listen, serve};
use socket2::SockRef;
use tokio::io::{AsyncWriteExt, copy_bidirectional, duplex};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::wire::{GET, Server, exchange, fixed_tls, handshake, hello, rest};

/// A request that never ends tells when it begins and when its future is dropped.
#[derive(Debug, Eq, PartialEq)]
enum Seen {
    Begun,
    Dropped,
}

struct Watch(mpsc::Sender<Seen>);

impl Drop for Watch {
    fn drop(&mut self) {
        // Nobody listens when a test's end drops the server.
        let _ = self.0.try_send(Seen::Dropped);
    }
}

fn endless() -> (Router, mpsc::Receiver<Seen>) {
    let (seen, events) = mpsc::channel(16);
    let handler = move || {
        let seen = seen.clone();
        async move {
            let watch = Watch(seen);
            watch.0.send(Seen::Begun).await.unwrap();
            std::future::pending::<()>().await;
        }
    };
    (Router::new().route("/", get(handler)), events)
}

async fn next(events: &mut mpsc::Receiver<Seen>) -> Seen {
    timeout(Duration::from_secs(5), events.recv()).await.expect("the handler did not notice").unwrap()
}

#[tokio::test]
async fn a_handler_ends_when_its_http1_client_goes_away() {
    let (tls, ca) = fixed_tls();
    let (routes, mut events) = endless();
    let server = Server::start(Some(tls), routes, Limits::default());
    let mut io = handshake(server.connect().await, &ca, &["http/1.1"]).await.unwrap();
    io.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(next(&mut events).await, Seen::Begun);
    drop(io);
    assert_eq!(next(&mut events).await, Seen::Dropped);
}

#[tokio::test]
async fn a_handler_ends_when_its_http2_client_resets_the_request_or_goes_away() {
    let (tls, ca) = fixed_tls();
    let (routes, mut events) = endless();
    let server = Server::start(Some(tls), routes, Limits::default());
    let (near, mut middle) = duplex(64 << 10);
    let mut far = server.connect().await;
    let network = tokio::spawn(async move { copy_bidirectional(&mut middle, &mut far).await });
    let io = handshake(near, &ca, &["h2"]).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    let request = || Request::get("https://localhost/").body(Empty::<Bytes>::new()).unwrap();

    let response = tokio::spawn(sender.send_request(request()));
    assert_eq!(next(&mut events).await, Seen::Begun);
    response.abort();
    assert_eq!(next(&mut events).await, Seen::Dropped);

    let _response = tokio::spawn(sender.send_request(request()));
    assert_eq!(next(&mut events).await, Seen::Begun);
    network.abort();
    assert_eq!(next(&mut events).await, Seen::Dropped);
}

#[tokio::test]
async fn a_vanished_tcp_peer_is_asked_after() {
    let mut listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await;
    let socket = SockRef::from(&stream);
    assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
    let unanswered = socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
    assert_eq!(socket.tcp_keepalive_time().unwrap() + unanswered, Duration::from_secs(30));
}

#[tokio::test]
async fn the_kernel_holds_little_of_a_connection_whatever_its_peer_sends() {
    let mut listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await;
    let socket = SockRef::from(&stream);
    // What it grants is twice what was asked for.
    assert!(socket.recv_buffer_size().unwrap() <= 128 << 10 && socket.send_buffer_size().unwrap() <= 128 << 10);
}

#[tokio::test]
async fn over_tcp_a_handler_knows_its_peer_and_ends_when_it_goes_away() {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (routes, mut events) = endless();
    let who = get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("you are {peer}!") });
    let routes = routes.route("/who", who);
    let server = tokio::spawn(serve(listener, None, routes, Limits::default(), std::future::pending()));

    let mut io = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut io, &GET.replace("GET /", "GET /who"), "!").await;
    assert!(answer.ends_with(&format!("you are {}!", io.local_addr().unwrap())), "{answer}");
    io.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(next(&mut events).await, Seen::Begun);
    drop(io);
    assert_eq!(next(&mut events).await, Seen::Dropped);
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_idle_connections_and_lets_open_requests_end() {
    let slow = || async {
        sleep(Duration::from_secs(15)).await;
        "done"
    };
    let server = Server::start(None, hello().route("/slow", get(slow)), Limits::default());
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    exchange(&mut idle, GET, "hello").await;
    let begin = Instant::now();
    let stop = async {
        sleep(Duration::from_secs(1)).await;
        server.stop.cancel();
        assert_eq!(rest(&mut idle).await, "");
        assert_eq!(begin.elapsed(), Duration::from_secs(1));
    };
    let request = GET.replace("GET /", "GET /slow");
    let (answer, ()) = tokio::join!(exchange(&mut busy, &request, "done"), stop);
    assert!(answer.contains("connection: close"), "{answer}");
    server.task.await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn requests_that_outlive_the_drain_are_cut() {
    let (tls, ca) = fixed_tls();
    let (routes, mut events) = endless();
    let server = Server::start(Some(tls), routes, Limits::default());
    let mut http1 = handshake(server.connect().await, &ca, &["http/1.1"]).await.unwrap();
    http1.write_all(GET.as_bytes()).await.unwrap();
    let io = handshake(server.connect().await, &ca, &["h2"]).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/").body(Empty::<Bytes>::new()).unwrap();
    let _response = tokio::spawn(sender.send_request(request));
    assert_eq!([next(&mut events).await, next(&mut events).await], [Seen::Begun, Seen::Begun]);

    let begin = Instant::now();
    server.stop.cancel();
    server.task.await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(20));
    assert_eq!([events.try_recv().unwrap(), events.try_recv().unwrap()], [Seen::Dropped, Seen::Dropped]);
}

#[tokio::test]
async fn a_dropped_server_leaves_no_request_behind() {
    let (routes, mut events) = endless();
    let server = Server::start(None, routes, Limits::default());
    let mut io = server.connect().await;
    io.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(next(&mut events).await, Seen::Begun);
    server.task.abort();
    assert_eq!(next(&mut events).await, Seen::Dropped);
    assert_eq!(rest(&mut io).await, "");
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_connection_only() {
    let server =
        Server::start(None, hello().route("/bad", get(async || -> () { panic!("a defect") })), Limits::default());
    let (mut bad, mut good) = (server.connect().await, server.connect().await);
    exchange(&mut good, GET, "hello").await;
    bad.write_all(GET.replace("GET /", "GET /bad").as_bytes()).await.unwrap();
    assert_eq!(rest(&mut bad).await, "");
    exchange(&mut good, GET, "hello").await;
    exchange(&mut server.connect().await, GET, "hello").await;
}
