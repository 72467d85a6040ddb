//! HTTP/2 as no honest client speaks it, in frames written by hand.

use std::sync::Arc;
use std::time::Duration;

use runtime::server::Limits;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::wire::{Server, fixed_tls, handshake, hello};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET /` to localhost over https, in HPACK.
const REQUEST: &[u8] = b"\x82\x87\x84\x41\x09localhost";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

async fn connect(server: &Server, ca: &str) -> TlsStream<DuplexStream> {
    let mut io = handshake(server.connect().await, ca, &["h2"]).await.unwrap();
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    io.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    io
}

fn tls() -> (Option<Arc<ServerConfig>>, String) {
    let (tls, ca) = fixed_tls();
    (Some(tls), ca)
}

/// Writes until the server hangs up, and returns the error that it says in a GOAWAY frame.
async fn outcome(mut io: TlsStream<DuplexStream>, frames: Vec<u8>) -> u32 {
    let answers = async {
        let _ = io.write_all(&frames).await;
        let _ = io.flush().await;
        let mut answers = Vec::new();
        let _ = io.read_to_end(&mut answers).await;
        answers
    };
    let answers = timeout(Duration::from_secs(1), answers).await.expect("the server does not hang up");
    let mut rest = answers.as_slice();
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = rest {
        let (payload, next) = payload.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
        if *kind == GOAWAY {
            return u32::from_be_bytes(payload[4..8].try_into().unwrap());
        }
        rest = next;
    }
    panic!("it hung up without a word: {answers:?}");
}

const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test(start_paused = true)]
async fn requests_that_are_reset_at_once_end_their_connection() {
    let (tls, ca) = tls();
    let server = Server::start(tls, hello(), Limits::default());
    let io = connect(&server, &ca).await;
    let frames = (0..200_u32).map(|number| 2 * number + 1).flat_map(|stream| {
        let request = frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST);
        [request, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    });
    assert_eq!(outcome(io, frames.collect()).await, ENHANCE_YOUR_CALM);
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_what_is_allowed_at_a_time_are_reset_and_end_their_connection() {
    let (tls, ca) = tls();
    let waits = axum::Router::new().route("/", axum::routing::get(std::future::pending::<()>));
    let server = Server::start(tls, waits, Limits::default());
    let io = connect(&server, &ca).await;
    let streams = (0..200_u32).map(|number| 2 * number + 1);
    let frames = streams.flat_map(|stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST));
    assert_eq!(outcome(io, frames.collect()).await, ENHANCE_YOUR_CALM);
}

#[tokio::test(start_paused = true)]
async fn a_head_without_an_end_ends_its_connection() {
    let (tls, ca) = tls();
    let server = Server::start(tls, hello(), Limits::default());
    let io = connect(&server, &ca).await;
    let mut frames = frame(HEADERS, END_STREAM, 1, REQUEST);
    for _ in 0..100 {
        frames.extend(frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b"));
    }
    assert_eq!(outcome(io, frames).await, ENHANCE_YOUR_CALM);
}
