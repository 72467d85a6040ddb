//! A bounded map that forgets the oldest without ever walking through it.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem::take;
use std::time::Duration;

use tokio::time::Instant;

/// What is known of each key: for at least `keep`, and at most twice that; of the keys at least the latest `capacity`, and at most
/// twice as many. It keeps two maps and drops the older one whole.
#[derive(Debug)]
pub struct ExpiringMap<K, V> {
    keep: Duration,
    capacity: usize,
    recent: HashMap<K, V>,
    before: HashMap<K, V>,
    since: Instant,
}

impl<K: Eq + Hash, V> ExpiringMap<K, V> {
    /// An empty map.
    #[must_use]
    pub fn new(capacity: usize, keep: Duration) -> Self {
        Self { keep, capacity, recent: HashMap::new(), before: HashMap::new(), since: Instant::now() }
    }

    /// What is known of a key.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        self.age();
        self.recent.get(key).or_else(|| self.before.get(key))
    }

    /// Remembers something of a key from now on.
    pub fn insert(&mut self, key: K, value: V) {
        self.age();
        if self.recent.len() >= self.capacity && !self.recent.contains_key(&key) {
            self.turn();
        }
        self.before.remove(&key);
        self.recent.insert(key, value);
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        self.recent.remove(key);
        self.before.remove(key);
    }

    /// How many keys are known.
    pub fn len(&mut self) -> usize {
        self.age();
        self.recent.len() + self.before.len()
    }

    /// Whether none is.
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    fn age(&mut self) {
        let age = self.since.elapsed();
        if age >= self.keep {
            self.turn();
        }
        if age >= 2 * self.keep {
            self.before.clear();
        }
    }

    fn turn(&mut self) {
        self.before = take(&mut self.recent);
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const KEEP: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_forgotten_after_once_to_twice_the_time() {
        let mut map = ExpiringMap::new(2, KEEP);
        map.insert(1, 'a');
        advance(KEEP).await;
        assert_eq!(map.get(&1), Some(&'a'));
        advance(KEEP).await;
        assert_eq!((map.get(&1).copied(), map.len()), (None, 0));
        map.insert(1, 'b');
        advance(3 * KEEP).await;
        assert_eq!((map.get(&1).copied(), map.len()), (None, 0), "after a long silence too");
    }

    #[tokio::test(start_paused = true)]
    async fn it_holds_so_many_and_forgets_the_oldest() {
        let mut map = ExpiringMap::new(100, KEEP);
        for number in 0..1000 {
            map.insert(number, number);
        }
        assert_eq!(map.len(), 200);
        assert!(map.get(&800).is_some() && map.get(&799).is_none());
        map.insert(800, 1);
        map.remove(&800);
        assert_eq!(map.get(&800), None, "in neither of the two");
    }
}
