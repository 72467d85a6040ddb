//! What reviews brought, remembered by the token's fingerprint, and the reviews under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::expiring_map::ExpiringMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::lane::Crowded;
use super::{Denied, Evidence};
use crate::cluster::DEADLINE;
use crate::keyed::{Held, Keyed};
use crate::open_requests::{MOST, MOST_WAITING};
use crate::token::Fingerprint;

/// How long a review is believed. A token that is revoked otherwise than by its pod's end is good for that much longer.
pub const TTL: Duration = Duration::from_secs(60);

/// Tokens that are remembered at least: two for each of 5,000 agents, one before and one after its rotation. Only a token that
/// let its caller in is among them, so that nobody without one can make the apiserver forget another's.
pub const CAPACITY: usize = 10_000;

/// How long a token counts as proven lately, at least; twice that is the lifetime of the agents' tokens.
const PROVEN: Duration = Duration::from_secs(300);

/// How long a token that Kubernetes did not know is refused without asking again, at least, and at most twice that. A second
/// look a few seconds later sees a token that Kubernetes has come to know.
pub const REFUSED: Duration = Duration::from_secs(5);

/// Refused tokens that are remembered at least: some kilobytes, more than one caller has sent in that time.
const REFUSED_CAPACITY: usize = 1024;

/// What is known of tokens. One token is reviewed by one request at a time; the others wait for the outcome.
#[derive(Debug)]
pub struct Reviews {
    proven: Mutex<ExpiringMap<Fingerprint, Remembered>>,
    refused: Mutex<ExpiringMap<Fingerprint, ()>>,
    under_way: Arc<Keyed<Fingerprint, OneAtATime>>,
}

/// A review that let its caller in, and when it was had.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// What it found out.
    pub evidence: Arc<Evidence>,
    at: Instant,
}

#[derive(Debug)]
struct OneAtATime {
    turn: Arc<Semaphore>,
    bounded: Arc<Semaphore>,
}

/// Held by the one request that has a token reviewed.
#[derive(Debug)]
pub struct TokenLock {
    _turn: OwnedSemaphorePermit,
    _counted: OwnedSemaphorePermit,
    _token: Held<Fingerprint, OneAtATime>,
}

impl Remembered {
    /// Whether it may still be believed. If not, the token still counts as proven lately.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.at.elapsed() < TTL
    }
}

impl Default for Reviews {
    fn default() -> Self {
        Self {
            proven: Mutex::new(ExpiringMap::new(CAPACITY, PROVEN)),
            refused: Mutex::new(ExpiringMap::new(REFUSED_CAPACITY, REFUSED)),
            under_way: Arc::default(),
        }
    }
}

impl Reviews {
    /// The last review of a token that let its caller in.
    ///
    /// # Errors
    /// When Kubernetes did not know the token a moment ago.
    pub fn remembered(&self, token: &Fingerprint) -> Result<Option<Remembered>, Denied> {
        if locked(&self.refused).get(token).is_some() {
            return Err(Denied::Unauthenticated);
        }
        Ok(locked(&self.proven).get(token).cloned())
    }

    /// Remembers a review that let its caller in.
    #[must_use]
    pub fn remember(&self, token: Fingerprint, evidence: Evidence) -> Arc<Evidence> {
        let evidence = Arc::new(evidence);
        locked(&self.proven).insert(token, Remembered { evidence: evidence.clone(), at: Instant::now() });
        evidence
    }

    /// Remembers that a token did not let its caller in.
    pub fn deny(&self, token: Fingerprint, denied: Denied) {
        locked(&self.proven).remove(&token);
        // Whatever else it was, another caller's headers or another moment may make it good.
        if denied == Denied::Unauthenticated {
            locked(&self.refused).insert(token, ());
        }
    }

    /// Waits until nobody else has this token reviewed.
    ///
    /// # Errors
    /// When more wait than an agent has open requests, or the wait is too long.
    pub async fn enter(&self, token: Fingerprint) -> Result<TokenLock, Crowded> {
        let held = self.under_way.hold(token, OneAtATime::default);
        let counted = held.bounded.clone().try_acquire_owned().map_err(|_| Crowded)?;
        // Whoever is in front is bounded by deadlines, several of them by this one.
        let turn = timeout(2 * DEADLINE, held.turn.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Crowded)?.map_err(|_| Crowded)?;
        Ok(TokenLock { _turn: turn, _counted: counted, _token: held })
    }

    /// How many tokens are known or under review.
    #[must_use]
    pub fn len(&self) -> usize {
        locked(&self.proven).len() + locked(&self.refused).len() + self.under_way.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for OneAtATime {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), bounded: Arc::new(Semaphore::new(MOST + MOST_WAITING)) }
    }
}

/// Locked for plain map operations only, so a poisoned lock is as good as any.
fn locked<V>(memory: &Mutex<ExpiringMap<Fingerprint, V>>) -> MutexGuard<'_, ExpiringMap<Fingerprint, V>> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::advance;

    use super::*;
    use crate::identity::samples::{evidence, fingerprint};

    #[tokio::test(start_paused = true)]
    async fn refused_tokens_take_no_room_of_those_that_let_their_caller_in() {
        let reviews = Reviews::default();
        let _evidence = reviews.remember(fingerprint(0), evidence());
        for number in 1..3 * CAPACITY {
            reviews.deny(fingerprint(number), Denied::Unauthenticated);
        }
        assert!(reviews.remembered(&fingerprint(0)).unwrap().unwrap().is_fresh());
        assert!(reviews.len() <= 1 + 2 * REFUSED_CAPACITY, "{}", reviews.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_not_known_is_refused_for_some_seconds_and_any_other_denial_is_not_remembered() {
        let reviews = Reviews::default();
        reviews.deny(fingerprint(0), Denied::Unauthenticated);
        reviews.deny(fingerprint(1), Denied::StaleNode);
        assert_eq!(reviews.remembered(&fingerprint(0)).unwrap_err(), Denied::Unauthenticated);
        assert!(reviews.remembered(&fingerprint(1)).unwrap().is_none());
        advance(2 * REFUSED).await;
        assert!(reviews.remembered(&fingerprint(0)).unwrap().is_none());
        assert!(reviews.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_is_believed_for_a_minute_and_its_token_proven_for_longer() {
        let reviews = Reviews::default();
        let _evidence = reviews.remember(fingerprint(0), evidence());
        advance(TTL).await;
        assert!(!reviews.remembered(&fingerprint(0)).unwrap().unwrap().is_fresh());
        advance(PROVEN - TTL).await;
        assert!(reviews.remembered(&fingerprint(0)).unwrap().is_some());
        advance(PROVEN).await;
        assert!(reviews.remembered(&fingerprint(0)).unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_has_a_token_reviewed_and_as_many_wait_as_an_agent_has_requests() {
        let reviews = Reviews::default();
        let first = reviews.enter(fingerprint(0)).await.unwrap();
        let waits = || Box::pin(reviews.enter(fingerprint(0)));
        let mut waiting: Vec<_> = (1..MOST + MOST_WAITING).map(|_| waits()).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        assert_eq!(waits().await.unwrap_err(), Crowded);
        assert!(reviews.enter(fingerprint(1)).now_or_never().unwrap().is_ok());
        drop(first);
        assert!(waiting.remove(0).now_or_never().unwrap().is_ok());
        drop(waiting);
        assert!(reviews.is_empty());
    }
}
