//! One lane to the TokenReviews, shared out by address.
//!
//! A caller waits for its address's turn first, then for the lane's. So an address has few callers in the lane's queue, however
//! many it sends, and whoever comes from another one waits behind these few only.

use std::sync::Arc;
use std::time::Duration;

use api::wire::Reason;
use runtime::server::Network;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::cluster::DEADLINE;
use crate::keyed::{Held, Keyed};
use crate::refusal::Refusal;

/// How long an address keeps a turn after a review that let nobody in. So a caller that guesses costs Kubernetes that many
/// reviews a second as its address has turns.
pub const COOL_DOWN: Duration = Duration::from_secs(1);

/// How long an agent of ours waits for its turn. It asks again by itself.
const PATIENCE: Duration = DEADLINE;

/// How long an original agent does, which makes a crash of a few refusals.
const ORIGINALS_PATIENCE: Duration = Duration::from_secs(30);

/// How much a lane lets through.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Reviews at a time.
    pub at_once: usize,
    /// Of these, for one address.
    pub per_address: usize,
    /// Callers of one address that wait, of agents of ours and of originals each.
    pub waiting_per_address: usize,
    /// Callers that wait in all.
    pub waiting: usize,
}

/// A lane.
#[derive(Debug)]
pub struct Lane {
    bounds: Bounds,
    turns: Arc<Semaphore>,
    /// For those who wait, and those whose turn it is.
    bounded: Arc<Semaphore>,
    addresses: Arc<Keyed<Network, AddressQuota>>,
}

/// What one address has of a lane.
#[derive(Debug)]
struct AddressQuota {
    turns: Arc<Semaphore>,
    ours: Arc<Semaphore>,
    originals: Arc<Semaphore>,
}

/// The permission to have a token reviewed now, until dropped.
#[derive(Debug)]
pub struct ReviewPermit {
    _lane: OwnedSemaphorePermit,
    address: OwnedSemaphorePermit,
    _counted: [OwnedSemaphorePermit; 2],
    quota: Held<Network, AddressQuota>,
}

/// There are too many in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many callers are to be authenticated; ask again")]
pub struct Crowded;

impl From<Crowded> for Refusal {
    /// Not 429, which an agent takes for the answer of somebody who knows it.
    fn from(crowded: Crowded) -> Self {
        Self::new(Reason::Unavailable, crowded.to_string())
    }
}

impl Lane {
    /// A lane within bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let bounded = Arc::new(Semaphore::new(bounds.at_once + bounds.waiting));
        Self { bounds, turns: Arc::new(Semaphore::new(bounds.at_once)), bounded, addresses: Arc::default() }
    }

    /// Waits for the turn of a caller from an address.
    ///
    /// # Errors
    /// When too many wait, or the wait is too long.
    pub async fn enter(&self, address: Network, ours: bool) -> Result<ReviewPermit, Crowded> {
        let quota = self.addresses.hold(address, || AddressQuota::new(self.bounds));
        let (queue, patience) = if ours { (&quota.ours, PATIENCE) } else { (&quota.originals, ORIGINALS_PATIENCE) };
        let counted = [&self.bounded, queue].map(|queue| queue.clone().try_acquire_owned().map_err(|_| Crowded));
        let [whole, part] = counted;
        let counted = [whole?, part?];
        let both = async {
            let address = quota.turns.clone().acquire_owned().await.map_err(|_| Crowded)?;
            let lane = self.turns.clone().acquire_owned().await.map_err(|_| Crowded)?;
            Ok((address, lane))
        };
        let (address, lane) = timeout(patience, both).await.map_err(|_| Crowded)??;
        Ok(ReviewPermit { _lane: lane, address, _counted: counted, quota })
    }

    /// How many addresses use it.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }
}

impl AddressQuota {
    fn new(bounds: Bounds) -> Self {
        let queue = || Arc::new(Semaphore::new(bounds.per_address + bounds.waiting_per_address));
        Self { turns: Arc::new(Semaphore::new(bounds.per_address)), ours: queue(), originals: queue() }
    }
}

impl ReviewPermit {
    /// Ends the review of a caller that was not let in. Its address has the turn back only after [`COOL_DOWN`].
    pub fn end_refused(self) {
        let Self { address, quota, .. } = self;
        tokio::spawn(async move {
            sleep(COOL_DOWN).await;
            drop((address, quota));
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::join_all;
    use tokio::time::Instant;

    use super::*;

    const BOUNDS: Bounds = Bounds { at_once: 4, per_address: 2, waiting_per_address: 3, waiting: 100 };

    fn network(last: u8) -> Network {
        Network::of([10, 0, 0, last].into())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_turns_and_takes_none_of_anothers() {
        let lane = Lane::new(BOUNDS);
        let mut held = vec![lane.enter(network(1), true).await.unwrap(), lane.enter(network(1), true).await.unwrap()];
        let mut third = Box::pin(lane.enter(network(1), true));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(lane.enter(network(2), true).now_or_never().unwrap().is_ok());
        held.pop();
        assert!(third.now_or_never().unwrap().is_ok());
        held.clear();
        assert_eq!(lane.addresses(), 0, "nothing is left of an address that asks nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_full_lane_an_address_that_comes_late_waits_for_few() {
        let lane = Lane::new(BOUNDS);
        let flood = async |address: u8| {
            let all = join_all((0..5).map(|_| lane.enter(network(address), true).then(hold_for_a_second)));
            all.await.into_iter().filter(Result::is_ok).count()
        };
        let honest = async {
            sleep(Duration::from_millis(500)).await;
            let begin = Instant::now();
            lane.enter(network(9), true).await.unwrap();
            begin.elapsed()
        };
        let (_, _, waited) = tokio::join!(flood(1), flood(2), honest);
        assert!(waited <= Duration::from_secs(1), "{waited:?}");
    }

    async fn hold_for_a_second(permit: Result<ReviewPermit, Crowded>) -> Result<(), Crowded> {
        let _permit = permit?;
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_bounded_in_number_and_time_for_agents_of_both_kinds() {
        let lane = Lane::new(BOUNDS);
        let _held = [lane.enter(network(1), true).await.unwrap(), lane.enter(network(1), true).await.unwrap()];
        for (ours, room, patience) in [(true, 3, PATIENCE), (false, 5, ORIGINALS_PATIENCE)] {
            let begin = Instant::now();
            let waits = join_all((0..10).map(|_| async {
                assert_eq!(lane.enter(network(1), ours).await.unwrap_err(), Crowded);
                begin.elapsed()
            }));
            let waits = waits.await;
            let waited: Vec<_> = waits.iter().filter(|waited| !waited.is_zero()).collect();
            assert_eq!(waited.len(), room, "ours: {ours}");
            assert!(waited.iter().all(|waited| **waited >= patience && **waited < patience + COOL_DOWN));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_the_address_alone_waits() {
        let lane = Lane::new(Bounds { at_once: 1, per_address: 1, ..BOUNDS });
        lane.enter(network(1), true).await.unwrap().end_refused();
        let begin = Instant::now();
        lane.enter(network(2), true).await.unwrap();
        assert!(begin.elapsed().is_zero());
        lane.enter(network(1), true).await.unwrap();
        assert!(begin.elapsed() >= COOL_DOWN);
        assert_eq!(lane.addresses(), 0);
    }
}
