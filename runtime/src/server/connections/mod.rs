//! The table of connections: how many there are from where, and which one makes room for a new one.

mod quotas;
mod table;

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::limits::Limits;
use super::member::{Member, Turn};
use super::network::Network;
use super::refused::{NoConnection, Refused};
use quotas::Quotas;
use table::{Row, Table};

/// How often it is logged that connections are refused.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The connections of one server.
#[derive(Debug)]
pub(super) struct Connections {
    epoch: Instant,
    refused: Refused,
    table: Mutex<Table>,
    warned: Mutex<Option<Instant>>,
}

/// One connection, among the requests' extensions. It counts as unauthenticated while no request on it is [`Proven`].
#[derive(Clone, Debug)]
pub struct Connection(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    connections: Arc<Connections>,
    id: u64,
    network: Network,
    member: Arc<Member>,
    handshakes: Arc<Semaphore>,
}

/// A request whose caller has proven who it is, until dropped.
#[derive(Debug)]
pub struct Proven(Arc<Entry>);

impl Connections {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            refused: limits.refused.clone(),
            table: Mutex::new(Table::new(Quotas::from(limits))),
            warned: Mutex::default(),
        })
    }

    /// Counts a new connection, and cuts the one that has to make room for it; `None` when it is the new one that has to go.
    pub(super) fn enter(self: &Arc<Self>, peer: SocketAddr) -> Option<Connection> {
        let address = peer.ip().to_canonical();
        let network = Network::of(address);
        let member = Arc::new(Member::new(address, self.epoch));
        let (row, evicted) = self.table().enter(network, member.clone());
        for _ in 0..evicted {
            self.refuse(NoConnection::Evicted, network);
        }
        match row {
            Ok(Row { id, handshakes }) => {
                Some(Connection(Arc::new(Entry { connections: self.clone(), id, network, member, handshakes })))
            }
            Err(why) => {
                self.refuse(why, network);
                None
            }
        }
    }

    fn refuse(&self, why: NoConnection, network: Network) {
        self.refused.connection(why);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if warned.is_none_or(|at| now.duration_since(at) >= WARN_EVERY) {
            *warned = Some(now);
            tracing::warn!(newcomer = %network.address(), ?why, "too many unauthenticated connections: refusing some");
        }
    }

    /// Held for plain map operations only, so a poisoned lock is as good as any.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Says that the caller of one request on it has proven who it is. Meanwhile the connection is not unauthenticated, and
    /// whoever counts such callers has to bound them. For some minutes its address has a part in what is kept for such.
    #[must_use]
    pub fn proven(&self) -> Proven {
        self.0.connections.table().prove(self.0.id, self.0.network, &self.0.member);
        Proven(self.0.clone())
    }

    /// Resolves once the connection has to make room for another.
    pub(super) async fn evicted(&self) {
        self.0.member.evicted.cancelled().await;
    }

    /// Says who has to do something next.
    pub(super) fn turn(&self, turn: Turn) {
        self.0.member.set(turn);
    }

    /// Where it comes from.
    pub(super) fn network(&self) -> Network {
        self.0.network
    }

    /// Whether a caller was proven on it before, or from its address lately when it came.
    pub(super) fn is_known(&self) -> bool {
        self.0.member.known.load(Relaxed)
    }

    /// The places for handshakes with its address.
    pub(super) fn handshakes(&self) -> &Semaphore {
        &self.0.handshakes
    }
}

impl Drop for Proven {
    fn drop(&mut self) {
        self.0.connections.table().unprove(self.0.id, self.0.network, &self.0.member);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.table().leave(self.id, self.network);
    }
}

#[cfg(test)]
mod tests;
