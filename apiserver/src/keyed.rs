//! States that are there only while somebody holds them, by key: so there are never more of them than open requests.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The states that somebody holds now.
#[derive(Debug)]
pub struct Keyed<K, S>(Mutex<HashMap<K, Shared<S>>>);

#[derive(Debug)]
struct Shared<S> {
    state: Arc<S>,
    holders: usize,
}

/// One holder of a state. The last one to leave takes the state away.
#[derive(Debug)]
pub struct Held<K: Eq + Hash, S> {
    all: Arc<Keyed<K, S>>,
    key: K,
    state: Arc<S>,
}

impl<K, S> Default for Keyed<K, S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, S> Keyed<K, S> {
    /// Holds the state of a key, which is made where nobody holds it yet.
    #[must_use]
    pub fn hold(self: &Arc<Self>, key: K, make: impl FnOnce() -> S) -> Held<K, S> {
        let mut all = self.lock();
        let shared = all.entry(key.clone()).or_insert_with(|| Shared { state: Arc::new(make()), holders: 0 });
        shared.holders += 1;
        Held { all: self.clone(), key, state: shared.state.clone() }
    }
}

impl<K, S> Keyed<K, S> {
    /// How many keys somebody holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nobody holds any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Locked for plain map operations only, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Shared<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, S> Deref for Held<K, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

impl<K: Eq + Hash, S> Drop for Held<K, S> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(shared) = all.get_mut(&self.key) {
            shared.holders -= 1;
            if shared.holders == 0 {
                all.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_shared_while_it_is_held_and_gone_with_its_last_holder() {
        let all = Arc::new(Keyed::<u8, String>::default());
        let (one, other) = (all.hold(1, || "first".to_owned()), all.hold(1, || "second".to_owned()));
        assert_eq!((other.as_str(), all.len()), ("first", 1));
        drop(one);
        assert_eq!(all.len(), 1);
        drop(other);
        assert!(all.is_empty());
        assert_eq!(all.hold(1, || "third".to_owned()).as_str(), "third");
    }
}
