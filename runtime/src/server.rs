//! An HTTP server in which everything a client can take is bounded: connections, handshakes, time and bytes.
//!
//! A client that goes away drops its request's future, so a handler stops where it last waited. Over HTTP/1.1 that is seen
//! once the request's body was read, and not while the client has already sent more than the one request.

mod body;
mod connection;
mod in_flight;
mod strangers;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::{Listener, ListenerExt};
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use connection::Host;
use strangers::Strangers;

pub use strangers::{Connection, Proven};

/// How long connections may take to end once they are cut.
const CUTTING: Duration = Duration::from_secs(1);

/// What one server lets its clients have.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time. Further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Connections at a time from one address, of IPv6 from one /64 network, on which no request is [`Proven`] to come from
    /// somebody known. Further ones are closed at once, so that no stranger takes everybody's connections and memory.
    pub strangers: usize,
    /// TLS handshakes at a time. Further ones wait, within `handshake_timeout`.
    pub handshakes: usize,
    /// From the accepted connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a connection may be without a request in flight. It bounds the reading of a request's head, the taking of
    /// a response and the keeping alive of an idle connection, the same for both protocols.
    pub idle_timeout: Duration,
    /// How long a request's body may keep its handler waiting.
    pub body_timeout: Duration,
    /// Bytes of a request's head. A larger one is answered with 431. Below 8 KiB it counts as 8 KiB over HTTP/1.
    pub header_bytes: u32,
    /// Requests at a time within one HTTP/2 connection.
    pub streams: u32,
    /// How long open requests may go on after the server was told to stop, before they are cut.
    pub drain: Duration,
}

impl Default for Limits {
    /// For a program's main port. Strangers are not bounded: that is for a program whose callers prove who they are.
    fn default() -> Self {
        Self {
            connections: 4096,
            strangers: usize::MAX,
            handshakes: 128,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
            header_bytes: 16 << 10,
            streams: 100,
            drain: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// For a port that only the kubelet and a metrics scraper ask.
    #[must_use]
    pub fn probes() -> Self {
        Self { connections: 64, strangers: 16, drain: Duration::from_secs(1), ..Self::default() }
    }
}

/// Listens on an address. A peer that vanished without a word (its machine was switched off) is noticed within half a
/// minute, by TCP keep-alive.
///
/// # Errors
/// When the address cannot be bound.
pub async fn listen(address: SocketAddr) -> io::Result<impl Listener<Io = TcpStream, Addr = SocketAddr>> {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5)).with_retries(3);
    let listener = TcpListener::bind(address).await?;
    Ok(listener.tap_io(move |stream| {
        let set = stream.set_nodelay(true).and_then(|()| SockRef::from(&*stream).set_tcp_keepalive(&keepalive));
        if let Err(error) = set {
            tracing::debug!(%error, "cannot set options of a connection");
        }
    }))
}

/// Serves until `stop` resolves; then accepts no more, lets open requests end for `limits.drain` and cuts the rest.
///
/// With `tls`, HTTP/2 or HTTP/1.1 as the client prefers; without, HTTP/1.1. Handlers find the peer's address as
/// [`axum::extract::ConnectInfo`], and the [`Connection`] among the extensions. Nothing a client does and no failure to accept ends the server. Dropping the returned
/// future cuts every connection.
pub async fn serve<L>(
    mut listener: L,
    tls: Option<Arc<ServerConfig>>,
    routes: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) where
    L: Listener<Addr = SocketAddr>,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    let strangers = Strangers::new(limits.strangers);
    let drain = limits.drain;
    let tasks = TaskTracker::new();
    let draining = CancellationToken::new();
    let cut = CancellationToken::new();
    let _cut_when_dropped = cut.clone().drop_guard();
    let host = Arc::new(Host::new(tls, routes, limits, draining.clone()));
    let mut stop = pin!(stop);
    loop {
        let (slot, io, peer) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&mut listener, &slots) => accepted,
        };
        let Some(connection) = strangers.enter(peer) else {
            continue;
        };
        let (host, cut) = (host.clone(), cut.clone());
        tasks.spawn(async move {
            let _slot = slot;
            cut.run_until_cancelled_owned(host.serve(io, peer, connection)).await;
        });
    }
    drop(listener);
    draining.cancel();
    tasks.close();
    if timeout(drain, tasks.wait()).await.is_err() {
        tracing::warn!(tasks = tasks.len(), "cutting what is left at the end of the drain");
        cut.cancel();
        // They end where they wait; a handler that never waits is not waited for.
        let _ = timeout(CUTTING, tasks.wait()).await;
    }
}

/// The listener logs and retries what goes wrong.
async fn accept<L: Listener>(
    listener: &mut L,
    slots: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, L::Io, L::Addr) {
    // The semaphore is never closed, so there is always a permit.
    let slot = slots.clone().acquire_owned().await.ok();
    let (io, peer) = listener.accept().await;
    (slot, io, peer)
}
