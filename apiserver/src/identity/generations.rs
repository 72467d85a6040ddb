//! A bounded memory that forgets the oldest without ever walking through it.

use std::collections::HashMap;
use std::mem::take;
use std::time::Duration;

use tokio::time::Instant;

use crate::token::Fingerprint;

/// What is remembered of tokens: for at least `keep`, and at most twice that; of so many tokens at least the latest `capacity`,
/// and at most twice as many. It keeps two maps and drops the older one whole.
#[derive(Debug)]
pub(super) struct Generations<V> {
    keep: Duration,
    capacity: usize,
    recent: HashMap<Fingerprint, V>,
    before: HashMap<Fingerprint, V>,
    since: Instant,
}

impl<V> Generations<V> {
    pub(super) fn new(capacity: usize, keep: Duration) -> Self {
        Self { keep, capacity, recent: HashMap::new(), before: HashMap::new(), since: Instant::now() }
    }

    pub(super) fn get(&mut self, token: &Fingerprint) -> Option<&V> {
        self.age();
        self.recent.get(token).or_else(|| self.before.get(token))
    }

    pub(super) fn insert(&mut self, token: Fingerprint, value: V) {
        self.age();
        if self.recent.len() >= self.capacity && !self.recent.contains_key(&token) {
            self.turn();
        }
        self.before.remove(&token);
        self.recent.insert(token, value);
    }

    pub(super) fn remove(&mut self, token: &Fingerprint) {
        self.recent.remove(token);
        self.before.remove(token);
    }

    pub(super) fn len(&mut self) -> usize {
        self.age();
        self.recent.len() + self.before.len()
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
    use crate::identity::samples::fingerprint;

    const KEEP: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_forgotten_after_once_to_twice_the_time() {
        let mut memory = Generations::new(2, KEEP);
        memory.insert(fingerprint(1), 'a');
        advance(KEEP).await;
        assert_eq!(memory.get(&fingerprint(1)), Some(&'a'));
        advance(KEEP).await;
        assert_eq!((memory.get(&fingerprint(1)).copied(), memory.len()), (None, 0));
        memory.insert(fingerprint(1), 'b');
        advance(3 * KEEP).await;
        assert_eq!((memory.get(&fingerprint(1)).copied(), memory.len()), (None, 0), "after a long silence too");
    }

    #[tokio::test(start_paused = true)]
    async fn it_holds_so_many_and_forgets_the_oldest() {
        let mut memory = Generations::new(100, KEEP);
        for number in 0..1000 {
            memory.insert(fingerprint(number), number);
        }
        assert_eq!(memory.len(), 200);
        assert!(memory.get(&fingerprint(800)).is_some() && memory.get(&fingerprint(799)).is_none());
        memory.insert(fingerprint(800), 1);
        memory.remove(&fingerprint(800));
        assert_eq!(memory.get(&fingerprint(800)), None, "in neither of the two");
    }
}
