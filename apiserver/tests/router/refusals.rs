//! Refusals over real connections, whose bodies are not waited for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use api::wire::{NODE_NAME_HEADER, NODE_RESOURCE, PING, TOKEN_HEADER};
use apiserver::router::router;
use axum::serve::Listener;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use runtime::server::{Limits, listen, serve};
use runtime::tls::{client_config, server_config};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::site::Site;

/// Where an apiserver listens with a certificate of its own, which is the second.
async fn serving() -> (SocketAddr, String) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let certified = CertifiedKey::from_der(vec![own.cert.der().clone()], key, &provider).unwrap();
    let tls = server_config(Arc::new(SingleCertAndKey::from(certified))).unwrap();
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::with_approval().await;
    tokio::spawn(serve(listener, Some(tls), router(site.app), Limits::default(), std::future::pending()));
    (address, own.cert.pem())
}

async fn connect(address: SocketAddr, ca: &str, protocol: &str) -> TlsStream<TcpStream> {
    let mut config = client_config(ca.as_bytes()).unwrap();
    config.alpn_protocols = vec![protocol.into()];
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

fn forged(method: Method, path: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(format!("https://localhost{path}"));
    request.header(NODE_NAME_HEADER, "a").header(TOKEN_HEADER, "forged").header("content-type", "application/json")
}

/// A body that begins and never ends.
fn endless() -> StreamBody<impl futures::Stream<Item = Result<Frame<Bytes>, std::io::Error>>> {
    let begins = stream::iter([Ok(Frame::data(Bytes::from_static(b"{\"current_version\":")))]);
    StreamBody::new(begins.chain(stream::pending()))
}

#[tokio::test]
async fn over_http1_a_refusal_does_not_wait_for_the_body_and_the_connection_is_closed() {
    let (address, ca) = serving().await;
    let mut connection = connect(address, &ca, "http/1.1").await;
    let head = format!(
        "PUT {NODE_RESOURCE} HTTP/1.1\r\nhost: a\r\n{NODE_NAME_HEADER}: a\r\n{TOKEN_HEADER}: forged\r\n\
         content-length: 60000\r\n\r\n{{"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.ends_with('}'), "the whole answer: {answer}");
}

#[tokio::test]
async fn over_http1_a_client_that_is_still_sending_has_its_answer() {
    let (address, ca) = serving().await;
    let io = TokioIo::new(connect(address, &ca, "http/1.1").await);
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(forged(Method::PUT, NODE_RESOURCE).body(endless()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn over_http2_a_refusal_ends_its_stream_and_no_other() {
    let (address, ca) = serving().await;
    let io = TokioIo::new(connect(address, &ca, "h2").await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..200 {
        let body = BodyExt::boxed(endless());
        let answer = sender.send_request(forged(Method::PUT, NODE_RESOURCE).body(body).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 401);
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    let nothing = Empty::new().map_err(|never| match never {}).boxed();
    let answer = sender.send_request(forged(Method::GET, PING).body(nothing).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
}
