//! Who is in the table, and who leaves it for a new one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::quotas::Quotas;
use crate::expiring_map::ExpiringMap;
use crate::server::member::Member;
use crate::server::network::{Network, Site};
use crate::server::refused::NoConnection;

/// An address is remembered for at least this long after a proof, and at most twice as long.
const LATELY: Duration = Duration::from_secs(300);
/// Addresses that are remembered at least: one for every node of a cluster as large as Kubernetes supports.
const LATELY_CAPACITY: usize = 5_000;

/// Every connection. All but an eviction take a time that does not grow with their number.
#[derive(Debug)]
pub(super) struct Table {
    quotas: Quotas,
    next: u64,
    /// Proofs at a time on each connection that is not cut.
    open: HashMap<u64, usize>,
    /// Networks with an unauthenticated connection, so that it is no larger than there are connections.
    peers: HashMap<Network, Peer>,
    sites: HashMap<Site, usize>,
    /// Those among `peers` that are unknown, in sum.
    unknown: usize,
    /// Addresses from which a caller was proven lately.
    lately: ExpiringMap<IpAddr, ()>,
}

/// The unauthenticated connections of one network, in the order of their arrival.
#[derive(Debug)]
struct Peer {
    members: BTreeMap<u64, Arc<Member>>,
    /// Those of addresses from which nobody was proven before they came, and on which nobody was since.
    unknown: HashSet<u64>,
    handshakes: Arc<Semaphore>,
}

/// What a connection has from the table.
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) handshakes: Arc<Semaphore>,
}

/// Which connections can make room.
#[derive(Clone, Copy)]
enum Among {
    /// Those of one network.
    Network(Network),
    /// Those of one site.
    Site(Site),
    /// Unknown ones.
    Unknown,
    /// All unauthenticated ones.
    All,
}

impl Table {
    pub(super) fn new(quotas: Quotas) -> Self {
        Self {
            quotas,
            next: 0,
            open: HashMap::new(),
            peers: HashMap::new(),
            sites: HashMap::new(),
            unknown: 0,
            lately: ExpiringMap::new(LATELY_CAPACITY, LATELY),
        }
    }

    /// Takes a new connection in, and tells how many were cut for it. One of another address makes room where that has more
    /// than this one would have, one of the same address where its client keeps the server waiting.
    pub(super) fn enter(&mut self, network: Network, member: Arc<Member>) -> (Result<Row, NoConnection>, usize) {
        let unknown = self.lately.get(&member.address).is_none();
        member.known.store(!unknown, Relaxed);
        let mut evicted = 0;
        while let Some((among, why)) = self.exceeded(network, unknown) {
            if !self.evict(network, among) {
                return (Err(why), evicted);
            }
            evicted += 1;
        }
        let id = self.next;
        self.next += 1;
        self.open.insert(id, 0);
        let handshakes = self.add(id, network, member, unknown);
        (Ok(Row { id, handshakes }), evicted)
    }

    /// The first limit that one more connection would exceed.
    fn exceeded(&self, network: Network, unknown: bool) -> Option<(Among, NoConnection)> {
        let of_network = self.peers.get(&network).map_or(0, |peer| peer.members.len());
        let site = network.site().filter(|site| self.sites.get(site).is_some_and(|count| *count >= self.quotas.site));
        if of_network >= self.quotas.address {
            Some((Among::Network(network), NoConnection::Address))
        } else if let Some(site) = site {
            Some((Among::Site(site), NoConnection::Address))
        } else if unknown && self.unknown >= self.quotas.unknown {
            Some((Among::Unknown, NoConnection::Full))
        } else if self.open.len() >= self.quotas.all {
            Some((Among::All, NoConnection::Full))
        } else {
            None
        }
    }

    /// Cuts the connection that has to make room, if there is one.
    fn evict(&mut self, newcomer: Network, among: Among) -> bool {
        let Some((network, id)) = self.victim(newcomer, among) else {
            return false;
        };
        if let Some(member) = self.peers.get(&network).and_then(|peer| peer.members.get(&id)) {
            member.evicted.cancel();
        }
        self.leave(id, network);
        true
    }

    fn victim(&self, newcomer: Network, among: Among) -> Option<(Network, u64)> {
        let own = self.peers.get(&newcomer);
        let weight = own.map_or(0, |peer| peer.weight(among));
        let peers = self.peers.iter().filter(|(network, _)| match among {
            Among::Network(only) => **network == only,
            Among::Site(site) => network.site() == Some(site),
            Among::Unknown | Among::All => true,
        });
        match peers.max_by_key(|(_, peer)| peer.weight(among)) {
            Some((network, heaviest)) if heaviest.weight(among) > weight + 1 && *network != newcomer => {
                Some((*network, heaviest.victim(among, |_| true)?))
            }
            _ => Some((newcomer, own?.victim(among, Member::yields)?)),
        }
    }

    /// Counts a proof: meanwhile the connection is not unauthenticated, and its address is known from now on.
    pub(super) fn prove(&mut self, id: u64, network: Network, member: &Member) {
        let Some(proofs) = self.open.get_mut(&id) else {
            return;
        };
        *proofs += 1;
        if *proofs == 1 {
            member.known.store(true, Relaxed);
            self.lately.insert(member.address, ());
            self.remove(id, network);
        }
    }

    /// Takes a proof back. The connection counts again, even beyond a limit: it is there already.
    pub(super) fn unprove(&mut self, id: u64, network: Network, member: &Arc<Member>) {
        let Some(proofs) = self.open.get_mut(&id) else {
            return;
        };
        *proofs -= 1;
        if *proofs == 0 {
            self.lately.insert(member.address, ());
            self.add(id, network, member.clone(), false);
        }
    }

    /// Forgets a connection.
    pub(super) fn leave(&mut self, id: u64, network: Network) {
        if self.open.remove(&id).is_some() {
            self.remove(id, network);
        }
    }

    fn add(&mut self, id: u64, network: Network, member: Arc<Member>, unknown: bool) -> Arc<Semaphore> {
        let handshakes = self.quotas.handshakes;
        let peer = self.peers.entry(network).or_insert_with(|| Peer::new(handshakes));
        peer.members.insert(id, member);
        if unknown {
            peer.unknown.insert(id);
            self.unknown += 1;
        }
        if let Some(site) = network.site() {
            *self.sites.entry(site).or_insert(0) += 1;
        }
        peer.handshakes.clone()
    }

    fn remove(&mut self, id: u64, network: Network) {
        let Some(peer) = self.peers.get_mut(&network) else {
            return;
        };
        if peer.members.remove(&id).is_none() {
            return;
        }
        if peer.unknown.remove(&id) {
            self.unknown -= 1;
        }
        if peer.members.is_empty() {
            self.peers.remove(&network);
        }
        if let Some(site) = network.site()
            && let Some(count) = self.sites.get_mut(&site)
        {
            *count -= 1;
            if *count == 0 {
                self.sites.remove(&site);
            }
        }
    }
}

#[cfg(test)]
impl Table {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.peers.is_empty() && self.sites.is_empty() && self.unknown == 0
    }
}

impl Peer {
    fn new(handshakes: usize) -> Self {
        Self { members: BTreeMap::new(), unknown: HashSet::new(), handshakes: Arc::new(Semaphore::new(handshakes)) }
    }

    fn weight(&self, among: Among) -> usize {
        match among {
            Among::Unknown => self.unknown.len(),
            Among::Network(_) | Among::Site(_) | Among::All => self.members.len(),
        }
    }

    /// Which one has to make room: an unknown one before others, one that waits for its client before one that waits for the
    /// server, and of those that has waited longest.
    fn victim(&self, among: Among, may: impl Fn(&Member) -> bool) -> Option<u64> {
        let candidates = self
            .members
            .iter()
            .filter(|(id, member)| may(member) && (!matches!(among, Among::Unknown) || self.unknown.contains(*id)));
        let first = candidates.min_by_key(|(id, member)| {
            let (turn, since) = member.turn();
            (!self.unknown.contains(*id), turn, since, **id)
        });
        first.map(|(id, _)| *id)
    }
}
