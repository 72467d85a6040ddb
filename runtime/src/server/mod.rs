//! An HTTP server in which everything a client can take is bounded: connections, handshakes, time and bytes.
//!
//! A client that goes away drops its request's future, so a handler stops where it last waited. Over HTTP/1.1 that is seen
//! once the request's body was read, and not while the client has already sent more than the one request.

mod admission;
mod body;
mod connection;
mod connections;
mod handshake;
mod limits;
mod member;
mod memory_pool;
mod network;
mod open_requests;
mod refused;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::{Listener, ListenerExt};
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use connection::Host;
use connections::Connections;

pub use admission::RequestMemory;
pub use connections::{Connection, Proven};
pub use limits::Limits;
pub use network::Network;
pub use refused::Refused;

/// How long connections may take to end once they are cut.
const CUTTING: Duration = Duration::from_secs(1);

/// Connections beyond the limit that may be about to end: cut for new ones, which wait until there are fewer.
const LEAVING: usize = 64;

/// Bytes that the kernel may hold of one connection in each direction, beside as much again for its own ends. Left to itself it
/// would let both grow to megabytes, which count as the container's memory.
const KERNEL_BUFFER: u32 = 64 << 10;

/// Connections that the kernel has accepted and the server has not.
const BACKLOG: u32 = 1024;

/// Listens on an address. A peer that vanished without a word (its machine was switched off) is noticed within half a
/// minute, by TCP keep-alive.
///
/// # Errors
/// When the address cannot be bound.
pub async fn listen(address: SocketAddr) -> io::Result<impl Listener<Io = TcpStream, Addr = SocketAddr>> {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5)).with_retries(3);
    let listener = bind(address)?;
    Ok(listener.tap_io(move |stream| {
        let set = stream.set_nodelay(true).and_then(|()| SockRef::from(&*stream).set_tcp_keepalive(&keepalive));
        if let Err(error) = set {
            tracing::debug!(%error, "cannot set options of a connection");
        }
    }))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that was started anew need not wait for the connections of the one before it.
    socket.set_reuseaddr(true)?;
    // Before it listens, so that every connection has it from its first packet on.
    socket.set_recv_buffer_size(KERNEL_BUFFER)?;
    socket.set_send_buffer_size(KERNEL_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
    let slots = Arc::new(Semaphore::new(limits.connections.saturating_add(LEAVING).min(Semaphore::MAX_PERMITS)));
    let connections = Connections::new(&limits);
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
        let Some(connection) = connections.enter(peer) else {
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
