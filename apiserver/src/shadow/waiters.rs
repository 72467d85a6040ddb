//! Who waits for which shadow to change. All of them are fed by one watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The waiting callers, by the shadow's name.
#[derive(Debug, Default)]
pub struct Waiters(Mutex<HashMap<String, Arc<Notify>>>);

/// One waiting caller; it is forgotten when dropped.
#[derive(Debug)]
pub struct Waiter<'a> {
    waiters: &'a Waiters,
    name: &'a str,
    notify: Arc<Notify>,
}

impl Waiters {
    /// A place for a caller that waits for the shadow `name`.
    pub fn join<'a>(&'a self, name: &'a str) -> Waiter<'a> {
        let notify = self.lock().entry(name.to_owned()).or_default().clone();
        Waiter { waiters: self, name, notify }
    }

    /// Wakes those who wait for the shadow `name`.
    pub fn wake(&self, name: &str) {
        if let Some(notify) = self.lock().get(name) {
            notify.notify_waiters();
        }
    }

    /// Wakes everybody.
    pub fn wake_all(&self) {
        for notify in self.lock().values() {
            notify.notify_waiters();
        }
    }

    /// Held for plain map operations only, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// Resolves at the first change after this call, also when that comes before the first poll.
    pub fn changed(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut all = self.waiters.lock();
        // Ours and the map's: nobody else waits for this shadow.
        if Arc::strong_count(&self.notify) == 2 {
            all.remove(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_wakes_those_who_wait_for_it_even_before_they_look() {
        let waiters = Waiters::default();
        let (one, other) = (waiters.join("a"), waiters.join("b"));
        let (changed, unchanged) = (one.changed(), other.changed());
        waiters.wake("a");
        changed.await;
        assert!(futures::poll!(std::pin::pin!(unchanged)).is_pending());
    }

    #[test]
    fn nothing_is_left_of_a_caller_that_went() {
        let waiters = Waiters::default();
        let (one, other) = (waiters.join("a"), waiters.join("a"));
        drop(one);
        assert_eq!(waiters.lock().len(), 1);
        drop(other);
        assert!(waiters.lock().is_empty());
    }
}
