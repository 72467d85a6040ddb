//! How many connections of one peer are there whose caller has not proven who it is.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often it is told that connections are refused.
const TELL: Duration = Duration::from_secs(60);

/// The connections of strangers, by peer.
#[derive(Debug)]
pub(super) struct Strangers {
    most: usize,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// A peer without any is not in it, so that it is no larger than there are connections.
    by_peer: HashMap<IpAddr, usize>,
    told: Option<Instant>,
}

/// One connection, among the requests' extensions. It counts as a stranger's while no request on it is [`Proven`].
#[derive(Clone, Debug)]
pub struct Connection(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    strangers: Arc<Strangers>,
    peer: IpAddr,
    /// Changed only while the ledger is locked.
    proofs: Mutex<usize>,
}

/// A request whose caller has proven who it is, until dropped.
#[derive(Debug)]
pub struct Proven(Arc<Counted>);

impl Strangers {
    /// `most` connections for each peer.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, ledger: Mutex::default() })
    }

    /// Counts a new connection; `None` when its peer has too many.
    pub(super) fn enter(self: &Arc<Self>, peer: SocketAddr) -> Option<Connection> {
        let peer = network(peer.ip());
        let mut ledger = self.ledger();
        if ledger.by_peer.get(&peer).is_some_and(|count| *count >= self.most) {
            let now = Instant::now();
            if ledger.told.is_none_or(|told| now.duration_since(told) >= TELL) {
                ledger.told = Some(now);
                tracing::warn!(%peer, most = self.most, "too many connections without a proven caller: refusing more");
            }
            return None;
        }
        ledger.add(peer);
        Some(Connection(Arc::new(Counted { strangers: self.clone(), peer, proofs: Mutex::new(0) })))
    }

    /// Held for plain map operations only, so a poisoned lock is as good as any.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn add(&mut self, peer: IpAddr) {
        *self.by_peer.entry(peer).or_insert(0) += 1;
    }

    fn remove(&mut self, peer: IpAddr) {
        if let Some(count) = self.by_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&peer);
            }
        }
    }
}

impl Connection {
    /// Says that the caller of one request on it has proven who it is. Meanwhile the connection is no stranger's, and whoever
    /// counts such callers has to bound them.
    #[must_use]
    pub fn proven(&self) -> Proven {
        let counted = self.0.clone();
        let mut ledger = counted.strangers.ledger();
        let mut proofs = counted.proofs();
        if *proofs == 0 {
            ledger.remove(counted.peer);
        }
        *proofs += 1;
        drop((ledger, proofs));
        Proven(counted)
    }
}

impl Drop for Proven {
    fn drop(&mut self) {
        let mut ledger = self.0.strangers.ledger();
        let mut proofs = self.0.proofs();
        *proofs -= 1;
        if *proofs == 0 {
            // Even beyond the limit: it is there already.
            ledger.add(self.0.peer);
        }
    }
}

impl Counted {
    fn proofs(&self) -> MutexGuard<'_, usize> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    /// No request is left that would hold it, so it is counted.
    fn drop(&mut self) {
        self.strangers.ledger().remove(self.peer);
    }
}

/// What one party has to itself: an IPv4 address, or the /64 network of an IPv6 one, in which it can have any number of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    fn known(strangers: &Strangers) -> usize {
        strangers.ledger().by_peer.len()
    }

    #[tokio::test]
    async fn a_peer_has_so_many_connections_and_takes_none_of_anothers() {
        let strangers = Strangers::new(2);
        let first = strangers.enter(peer("10.0.0.1")).unwrap();
        let _second = strangers.enter(peer("10.0.0.1")).unwrap();
        assert!(strangers.enter(peer("10.0.0.1")).is_none());
        assert!(strangers.enter(peer("::ffff:10.0.0.1")).is_none(), "the same address");
        assert!(strangers.enter(peer("10.0.0.2")).is_some());
        drop(first);
        assert!(strangers.enter(peer("10.0.0.1")).is_some());
    }

    #[tokio::test]
    async fn the_addresses_of_one_network_are_one_peer() {
        let strangers = Strangers::new(1);
        let _one = strangers.enter(peer("2001:db8:0:1::1")).unwrap();
        assert!(strangers.enter(peer("2001:db8:0:1:ffff::2")).is_none());
        assert!(strangers.enter(peer("2001:db8:0:2::1")).is_some());
    }

    #[tokio::test]
    async fn a_connection_does_not_count_while_a_request_on_it_is_proven() {
        let strangers = Strangers::new(1);
        let one = strangers.enter(peer("10.0.0.1")).unwrap();
        let (proof, other) = (one.proven(), one.proven());
        let two = strangers.enter(peer("10.0.0.1")).unwrap();
        drop(proof);
        let proof = two.proven();
        let three = strangers.enter(peer("10.0.0.1")).unwrap();
        drop(three);
        drop(other);
        assert!(strangers.enter(peer("10.0.0.1")).is_none(), "the first one waits for its next request");
        drop((one, proof));
        assert!(strangers.enter(peer("10.0.0.1")).is_none(), "so does the second one");
        drop(two);
        assert_eq!(known(&strangers), 0, "nothing is left of a peer that is gone");
    }

    #[tokio::test]
    async fn a_request_that_outlives_its_connection_leaves_nothing_behind() {
        let strangers = Strangers::new(1);
        let proof = strangers.enter(peer("10.0.0.1")).unwrap().proven();
        assert_eq!(known(&strangers), 0);
        drop(proof);
        assert_eq!(known(&strangers), 0);
    }
}
