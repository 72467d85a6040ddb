//! One connection as the table of connections sees it.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a client may keep the server waiting before its connection makes room for another from the same address.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// One connection. What it is waiting for is written on every request and read only when room is needed, so it takes no lock.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: IpAddr,
    /// Resolves once the connection has to make room.
    pub(super) evicted: CancellationToken,
    /// Whether a caller was proven on it before, or from its address lately when it came.
    pub(super) known: AtomicBool,
    epoch: Instant,
    /// A [`Turn`] in the lower two bits, the milliseconds from the epoch to its beginning above.
    turn: AtomicU64,
}

/// Who has to do something next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// The client, from which nothing of use has come yet.
    Silent,
    /// The client: to go on with its handshake, or to send a request.
    Client,
    /// The server.
    Server,
}

impl Member {
    /// A connection that nobody has looked at yet.
    pub(super) fn new(address: IpAddr, epoch: Instant) -> Self {
        let evicted = CancellationToken::new();
        let member = Self { address, evicted, known: AtomicBool::new(false), epoch, turn: AtomicU64::new(0) };
        member.set(Turn::Server);
        member
    }

    /// Says whose turn it is from now on.
    pub(super) fn set(&self, turn: Turn) {
        let millis = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.turn.store(millis << 2 | turn as u64, Relaxed);
    }

    /// Whose turn it is, and since when, in time since the epoch.
    pub(super) fn turn(&self) -> (Turn, Duration) {
        let turn = self.turn.load(Relaxed);
        let since = Duration::from_millis(turn >> 2);
        match turn & 3 {
            0 => (Turn::Silent, since),
            1 => (Turn::Client, since),
            _ => (Turn::Server, since),
        }
    }

    /// Whether it may make room for another connection from the same address: a client that has said nothing at once, one
    /// that keeps the server waiting after a second, and one that the server keeps waiting never.
    pub(super) fn yields(&self) -> bool {
        match self.turn() {
            (Turn::Silent, _) => true,
            (Turn::Client, since) => self.epoch.elapsed().saturating_sub(since) >= PATIENCE,
            (Turn::Server, _) => false,
        }
    }
}
