//! Clients that do not go on with their handshake.

use std::net::Ipv4Addr;
use std::time::Duration;

use runtime::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex};
use tokio::time::{Instant, sleep};

use crate::wire::{GET, Server, client_hello, exchange, fixed_tls, handshake, hello, rest};

const HONEST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// A client that has sent its `ClientHello`, was answered, and says no more.
async fn stalled(server: &Server, address: Ipv4Addr, ca: &str) -> DuplexStream {
    let mut io = server.connect_from(address).await;
    io.write_all(&client_hello(ca)).await.unwrap();
    io
}

#[tokio::test(start_paused = true)]
async fn silent_connections_keep_no_handshake_waiting_not_even_from_their_own_address() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), hello(), Limits::default());
    let mut silent = Vec::new();
    for _ in 0..255 {
        silent.push(server.connect_from(OTHER).await);
    }
    let begin = Instant::now();
    for address in [HONEST, OTHER] {
        let mut prompt = handshake(server.connect_from(address).await, &ca, &[]).await.unwrap();
        exchange(&mut prompt, GET, "hello").await;
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_hello_is_waited_for_two_seconds() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), hello(), Limits::default());
    let begin = Instant::now();
    let mut silent = server.connect().await;
    let (near, mut middle) = duplex(64 << 10);
    let mut far = server.connect().await;
    let slow = async {
        sleep(Duration::from_millis(1_900)).await;
        let _ = copy_bidirectional(&mut middle, &mut far).await;
    };
    let served = async {
        let mut io = handshake(near, &ca, &[]).await.unwrap();
        exchange(&mut io, GET, "hello").await;
    };
    tokio::select! {
        () = slow => unreachable!(),
        () = served => {}
    }
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_client_hello_that_does_not_end_is_cut() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), hello(), Limits::default());
    let begin = Instant::now();
    let hello = client_hello(&ca);
    let (trickles, mut trickling) = (server.connect().await, hello.chunks(1).cycle());
    let (mut read, mut write) = tokio::io::split(trickles);
    let writes = async {
        // The head of a record of the largest size, and never the whole of it.
        write.write_all(&[22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc]).await.unwrap();
        while write.write_all(trickling.next().unwrap()).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = read.read_u8() => {}
        () = writes => unreachable!(),
    }
    assert_eq!(begin.elapsed(), Duration::from_secs(2));

    let mut large = server.connect().await;
    let begin = Instant::now();
    // Records of which the handshake message needs more than may come.
    let mut record = vec![22, 3, 1, 0x20, 0, 1, 0, 0xff, 0];
    record.resize(5 + 0x2000, 0);
    large.write_all(&record).await.unwrap();
    record[5..9].fill(0);
    for _ in 0..3 {
        let _ = large.write_all(&record).await;
    }
    let mut answer = Vec::new();
    let _ = large.read_to_end(&mut answer).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn handshakes_that_stall_keep_nobody_from_another_address_waiting_and_are_cut() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), hello(), Limits::default());
    let mut stalling = Vec::new();
    for _ in 0..200 {
        stalling.push(stalled(&server, OTHER, &ca).await);
    }
    let begin = Instant::now();
    let mut prompt = handshake(server.connect_from(HONEST).await, &ca, &[]).await.unwrap();
    exchange(&mut prompt, GET, "hello").await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    let _ = stalling[0].read_to_end(&mut Vec::new()).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(3));
    let _ = stalling[199].read_to_end(&mut Vec::new()).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(10), "its time to wait for a place is over");
}

#[tokio::test(start_paused = true)]
async fn handshakes_beyond_the_limit_of_an_address_wait_for_one_to_end() {
    let (tls, ca) = fixed_tls();
    let server = Server::start(Some(tls), hello(), Limits { handshakes_per_address: 1, ..Limits::default() });
    let _stalled = stalled(&server, HONEST, &ca).await;
    let begin = Instant::now();
    sleep(Duration::from_secs(1)).await;
    handshake(server.connect_from(HONEST).await, &ca, &[]).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(3));
}
