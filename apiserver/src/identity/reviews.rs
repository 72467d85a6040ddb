//! Reviews remembered for a short while, by the token's fingerprint.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::Evidence;
use crate::token::Fingerprint;

/// How long a review is believed. A token that is revoked otherwise than by its pod's end is good for that much longer.
pub const TTL: Duration = Duration::from_secs(60);

/// Most tokens that are remembered or under review: two for each of 5,000 agents, one before and one after its rotation.
pub const CAPACITY: usize = 10_000;

/// The reviews that are remembered, and those under way: one at a time for each token.
#[derive(Debug, Default)]
pub struct Reviews(Mutex<HashMap<Fingerprint, Slot>>);

/// One token's place. Who holds its lock reviews it; the others wait for the outcome.
type Slot = Arc<AsyncMutex<Option<Remembered>>>;

/// A review, and when it was had.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// What it found out.
    pub evidence: Arc<Evidence>,
    at: Instant,
}

impl Remembered {
    /// A review had just now.
    #[must_use]
    pub fn now(evidence: Evidence) -> Self {
        Self { evidence: Arc::new(evidence), at: Instant::now() }
    }

    /// Whether it may still be believed.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.at.elapsed() < TTL
    }
}

impl Reviews {
    /// The place of a token; `None` when every place is taken by a review under way.
    #[must_use]
    pub fn slot(&self, token: Fingerprint) -> Option<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&token) {
            return Some(slot.clone());
        }
        if slots.len() >= CAPACITY {
            make_room(&mut slots);
        }
        if slots.len() >= CAPACITY {
            return None;
        }
        Some(slots.entry(token).or_default().clone())
    }

    /// Forgets a token, unless others are still waiting for its place.
    pub fn forget(&self, token: &Fingerprint, slot: Slot) {
        let mut slots = self.slots();
        drop(slot);
        if slots.get(token).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            slots.remove(token);
        }
    }

    /// How many tokens have a place.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots().len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots().is_empty()
    }

    /// Held for plain map operations only, so a poisoned lock is as good as any.
    fn slots(&self) -> MutexGuard<'_, HashMap<Fingerprint, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops every place that is neither in use nor fresh; when there is none such, an arbitrary one that is not in use.
fn make_room(slots: &mut HashMap<Fingerprint, Slot>) {
    let in_use = |slot: &Slot| Arc::strong_count(slot) > 1;
    slots.retain(|_, slot| {
        let fresh = slot.try_lock().is_ok_and(|remembered| remembered.as_ref().is_some_and(Remembered::is_fresh));
        in_use(slot) || fresh
    });
    if slots.len() >= CAPACITY {
        let spare = slots.iter().find(|(_, slot)| !in_use(slot)).map(|(token, _)| *token);
        if let Some(token) = spare {
            slots.remove(&token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(number: usize) -> Fingerprint {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    #[test]
    fn the_number_of_places_is_bounded_and_a_place_in_use_is_never_taken() {
        let reviews = Reviews::default();
        let held = reviews.slot(fingerprint(0)).unwrap();
        for number in 1..2 * CAPACITY {
            assert!(reviews.slot(fingerprint(number)).is_some());
        }
        assert!(reviews.len() <= CAPACITY);
        assert!(Arc::ptr_eq(&held, &reviews.slot(fingerprint(0)).unwrap()));
    }

    #[test]
    fn when_every_place_is_in_use_there_is_none_left() {
        let reviews = Reviews::default();
        let held: Vec<_> = (0..CAPACITY).map(|number| reviews.slot(fingerprint(number)).unwrap()).collect();
        assert!(reviews.slot(fingerprint(CAPACITY)).is_none());
        drop(held);
        assert!(reviews.slot(fingerprint(CAPACITY)).is_some());
    }

    #[test]
    fn a_token_others_wait_for_is_not_forgotten() {
        let reviews = Reviews::default();
        let (one, other) = (reviews.slot(fingerprint(0)).unwrap(), reviews.slot(fingerprint(0)).unwrap());
        reviews.forget(&fingerprint(0), one);
        assert_eq!(reviews.len(), 1);
        reviews.forget(&fingerprint(0), other);
        assert!(reviews.is_empty());
    }
}
