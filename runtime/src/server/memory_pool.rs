//! The memory that requests may take, shared out by address.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::network::Network;

/// The bytes that the requests of one server may hold at a time.
///
/// An address may hold as much as is then left for others: one alone half of all, each of two a third, each of any number no
/// more than remains. So there is always a part left for who comes next, and nobody has to say how many they will be.
#[derive(Debug)]
pub(super) struct MemoryPool {
    all: usize,
    /// What is kept for addresses from which a caller was proven lately.
    kept: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    /// A network that holds nothing is not in it, so that it is no larger than there are requests.
    by_network: HashMap<Network, usize>,
}

/// What one request holds of the pool, until dropped.
#[derive(Debug)]
pub(super) struct Charge {
    pool: Arc<MemoryPool>,
    network: Network,
    known: bool,
    bytes: AtomicUsize,
}

/// There are no bytes left for this address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory for requests is used up")]
pub(super) struct UsedUp;

impl MemoryPool {
    pub(super) fn new(all: usize, kept: usize) -> Arc<Self> {
        Arc::new(Self { all, kept, held: Mutex::default() })
    }

    /// Takes the first bytes for a request. `known` is an address from which a caller was proven lately.
    pub(super) fn charge(self: &Arc<Self>, network: Network, known: bool, bytes: usize) -> Result<Charge, UsedUp> {
        let charge = Charge { pool: self.clone(), network, known, bytes: AtomicUsize::new(0) };
        charge.raise_to(bytes)?;
        Ok(charge)
    }

    fn take(&self, network: Network, known: bool, bytes: usize) -> Result<(), UsedUp> {
        let kept = if known { 0 } else { self.kept };
        let mut held = self.held();
        let own = held.by_network.get(&network).copied().unwrap_or(0).saturating_add(bytes);
        let left = self.all.saturating_sub(kept).saturating_sub(held.all).saturating_sub(bytes);
        if own > left {
            return Err(UsedUp);
        }
        held.all += bytes;
        held.by_network.insert(network, own);
        Ok(())
    }

    fn release(&self, network: Network, bytes: usize) {
        let mut held = self.held();
        held.all -= bytes;
        if let Some(own) = held.by_network.get_mut(&network) {
            *own -= bytes;
            if *own == 0 {
                held.by_network.remove(&network);
            }
        }
    }

    /// Held for plain map operations only, so a poisoned lock is as good as any.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charge {
    /// Takes what is missing until the request holds so many bytes. Only one task raises a charge.
    pub(super) fn raise_to(&self, bytes: usize) -> Result<(), UsedUp> {
        let missing = bytes.saturating_sub(self.bytes.load(Relaxed));
        if missing > 0 {
            self.pool.take(self.network, self.known, missing)?;
            self.bytes.fetch_add(missing, Relaxed);
        }
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        if bytes > 0 {
            self.pool.release(self.network, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(last: u8) -> Network {
        Network::of([10, 0, 0, last].into())
    }

    fn is_empty(pool: &MemoryPool) -> bool {
        pool.held().all == 0 && pool.held().by_network.is_empty()
    }

    /// Charges for one address, a byte each, until there is none left.
    fn exhaust(pool: &Arc<MemoryPool>, last: u8) -> Vec<Charge> {
        std::iter::from_fn(|| pool.charge(network(last), true, 1).ok()).collect()
    }

    #[test]
    fn one_address_has_half_of_it_and_the_next_one_half_of_the_rest() {
        let pool = MemoryPool::new(1_000, 250);
        let first = exhaust(&pool, 1);
        let second = exhaust(&pool, 2);
        assert_eq!((first.len(), second.len()), (500, 250));
        assert!(pool.charge(network(3), true, 125).is_ok());
        drop((first, second));
        assert!(is_empty(&pool));
    }

    #[test]
    fn a_hundred_addresses_leave_something_for_the_next_one() {
        let pool = MemoryPool::new(1_000_000, 0);
        let mut held = Vec::new();
        for _ in 0..100 {
            for last in 1..=100 {
                held.extend(pool.charge(network(last), true, 1_000));
            }
        }
        assert!(pool.charge(network(101), true, 4_000).is_ok());
    }

    #[test]
    fn a_quarter_is_kept_for_addresses_that_are_known() {
        let pool = MemoryPool::new(1_000, 250);
        assert_eq!(pool.charge(network(1), false, 376).err(), Some(UsedUp));
        let _unknown = pool.charge(network(1), false, 375).unwrap();
        assert_eq!(pool.charge(network(2), false, 188).err(), Some(UsedUp));
        assert!(pool.charge(network(2), true, 312).is_ok());
    }

    #[test]
    fn a_charge_grows_by_what_is_missing_and_a_refusal_changes_nothing() {
        let pool = MemoryPool::new(1_000, 250);
        let charge = pool.charge(network(1), true, 100).unwrap();
        charge.raise_to(50).unwrap();
        charge.raise_to(500).unwrap();
        assert_eq!(charge.raise_to(501), Err(UsedUp));
        assert_eq!(pool.held().all, 500);
        drop(charge);
        assert!(is_empty(&pool));
    }
}
