//! What the agent of one node may have in flight here. It has a long poll and one call at a time; a few more may be left over
//! from connections whose end has not been noticed yet.

use std::sync::Arc;

use api::wire::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::keyed::{Held, Keyed};
use crate::refusal::Refusal;

/// Requests of one node at a time.
pub const MOST: usize = 16;
/// Requests that wait for a place besides. Only an original agent's wait, and it has one at a time.
pub const MOST_WAITING: usize = 32;

/// The requests in flight, by node.
#[derive(Debug, Default)]
pub struct InFlight(Arc<Keyed<String, Places>>);

#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    /// For those who have a place and those who wait for one.
    bounded: Arc<Semaphore>,
}

/// A request's place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    _taken: OwnedSemaphorePermit,
    _counted: OwnedSemaphorePermit,
    _places: Held<String, Places>,
}

impl InFlight {
    /// A place for a request of a node's agent. One of ours is refused when there is none; an original would make a crash of
    /// that, and waits.
    ///
    /// # Errors
    /// When there is no place, not even to wait.
    pub async fn enter(&self, node: &str, ours: bool) -> Result<Place, Refusal> {
        let places = self.0.hold(node.to_owned(), Places::default);
        let counted = places.bounded.clone().try_acquire_owned().map_err(|_| Refusal::busy())?;
        let free = places.free.clone();
        let taken = if ours {
            let error = format!("node {node} has {MOST} requests in flight; ask again");
            free.try_acquire_owned().map_err(|_| Refusal::new(Reason::TooManyRequests, error))?
        } else {
            free.acquire_owned().await.map_err(|_| Refusal::busy())?
        };
        Ok(Place { _taken: taken, _counted: counted, _places: places })
    }

    /// How many nodes have something in flight.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.0.len()
    }
}

impl Default for Places {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(MOST)), bounded: Arc::new(Semaphore::new(MOST + MOST_WAITING)) }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_node_has_so_many_places_and_takes_none_of_anothers() {
        let all = InFlight::default();
        let mut held = Vec::new();
        for _ in 0..MOST {
            held.push(all.enter("a", true).await.unwrap());
        }
        assert_eq!(all.enter("a", true).await.unwrap_err().reason, Reason::TooManyRequests);
        assert!(all.enter("b", true).await.is_ok());
        held.pop();
        assert!(all.enter("a", true).await.is_ok());
        held.clear();
        assert_eq!(all.nodes(), 0, "nothing is left of a node that has nothing in flight");
    }

    #[tokio::test]
    async fn an_original_waits_for_a_place_and_the_waiting_is_bounded() {
        let all = InFlight::default();
        let mut held = Vec::new();
        for _ in 0..MOST {
            held.push(all.enter("a", false).await.unwrap());
        }
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(all.enter("a", false))).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        assert_eq!(all.enter("a", false).await.unwrap_err().reason, Reason::Unavailable);
        held.pop();
        assert!(waiting.remove(0).now_or_never().unwrap().is_ok());
        drop((waiting, held));
        assert_eq!(all.nodes(), 0);
    }
}
