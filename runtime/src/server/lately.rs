//! Addresses from which a caller was proven lately.

use std::collections::HashSet;
use std::mem::take;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// An address is remembered for at least this long after a proof, and at most twice as long.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Addresses remembered, in each of the two sets: one for every node of a cluster as large as Kubernetes supports.
const CAPACITY: usize = 5_000;

/// A bounded set that forgets. It keeps two sets and drops the older one, so that no operation walks them.
#[derive(Debug)]
pub(super) struct LatelyProven {
    recent: HashSet<IpAddr>,
    before: HashSet<IpAddr>,
    since: Instant,
}

impl LatelyProven {
    pub(super) fn new(now: Instant) -> Self {
        Self { recent: HashSet::new(), before: HashSet::new(), since: now }
    }

    pub(super) fn insert(&mut self, address: IpAddr, now: Instant) {
        self.forget(now);
        if self.recent.len() >= CAPACITY && !self.recent.contains(&address) {
            self.turn(now);
        }
        self.recent.insert(address);
    }

    pub(super) fn contains(&mut self, address: IpAddr, now: Instant) -> bool {
        self.forget(now);
        self.recent.contains(&address) || self.before.contains(&address)
    }

    fn forget(&mut self, now: Instant) {
        let age = now.duration_since(self.since);
        if age >= REMEMBERED {
            self.turn(now);
        }
        if age >= 2 * REMEMBERED {
            self.before.clear();
        }
    }

    fn turn(&mut self, now: Instant) {
        self.before = take(&mut self.recent);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(bits: usize) -> IpAddr {
        Ipv4Addr::from_bits(u32::try_from(bits).unwrap()).into()
    }

    #[test]
    fn a_proof_is_remembered_for_five_minutes_and_for_ten_at_most() {
        let begin = Instant::now();
        let mut lately = LatelyProven::new(begin);
        lately.insert(address(1), begin);
        assert!(!lately.contains(address(2), begin));
        assert!(lately.contains(address(1), begin + REMEMBERED));
        assert!(!lately.contains(address(1), begin + 2 * REMEMBERED));
        lately.insert(address(1), begin + 2 * REMEMBERED);
        assert!(!lately.contains(address(1), begin + 5 * REMEMBERED), "after a long silence too");
    }

    #[test]
    fn it_holds_so_many_and_forgets_the_oldest() {
        let now = Instant::now();
        let mut lately = LatelyProven::new(now);
        for known in 0..3 * CAPACITY {
            lately.insert(address(known), now);
        }
        assert_eq!(lately.recent.len() + lately.before.len(), 2 * CAPACITY);
        assert!(lately.contains(address(3 * CAPACITY - 1), now) && !lately.contains(address(0), now));
    }
}
