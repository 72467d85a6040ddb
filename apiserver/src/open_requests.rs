//! How many open requests the agent of one node may have. It has a long poll and one call at a time; a few more may be left
//! over from connections whose end has not been noticed yet.

use std::sync::Arc;

use api::wire::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::keyed::{Held, Keyed};
use crate::refusal::Refusal;

/// Requests of one node at a time.
pub const MOST: usize = 16;
/// Requests that wait besides. Only an original agent's wait, and it has one at a time.
pub const MOST_WAITING: usize = 32;

/// The open requests, by node.
#[derive(Debug, Default)]
pub struct OpenRequests(Arc<Keyed<String, Quota>>);

#[derive(Debug)]
struct Quota {
    free: Arc<Semaphore>,
    /// For the open requests and those that wait to be one.
    bounded: Arc<Semaphore>,
}

/// One open request, counted until dropped.
#[derive(Debug)]
pub struct OpenRequest {
    _taken: OwnedSemaphorePermit,
    _counted: OwnedSemaphorePermit,
    _quota: Held<String, Quota>,
}

impl OpenRequests {
    /// Counts a request of a node's agent. Beyond [`MOST`] one of ours is refused; an original would make a crash of that, and
    /// waits.
    ///
    /// # Errors
    /// When there are too many, or too many wait already.
    pub async fn enter(&self, node: &str, ours: bool) -> Result<OpenRequest, Refusal> {
        let quota = self.0.hold(node.to_owned(), Quota::default);
        let counted = quota.bounded.clone().try_acquire_owned().map_err(|_| Refusal::busy())?;
        let free = quota.free.clone();
        let taken = if ours {
            let error = format!("node {node} has {MOST} open requests; ask again");
            free.try_acquire_owned().map_err(|_| Refusal::new(Reason::TooManyRequests, error))?
        } else {
            free.acquire_owned().await.map_err(|_| Refusal::busy())?
        };
        Ok(OpenRequest { _taken: taken, _counted: counted, _quota: quota })
    }

    /// How many nodes have open requests.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.0.len()
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(MOST)), bounded: Arc::new(Semaphore::new(MOST + MOST_WAITING)) }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_node_has_so_many_open_requests_and_takes_none_of_anothers() {
        let all = OpenRequests::default();
        let mut held = Vec::new();
        for _ in 0..MOST {
            held.push(all.enter("a", true).await.unwrap());
        }
        assert_eq!(all.enter("a", true).await.unwrap_err().reason, Reason::TooManyRequests);
        assert!(all.enter("b", true).await.is_ok());
        held.pop();
        assert!(all.enter("a", true).await.is_ok());
        held.clear();
        assert_eq!(all.nodes(), 0, "nothing is left of a node without an open request");
    }

    #[tokio::test]
    async fn an_original_waits_until_it_may_and_the_waiting_is_bounded() {
        let all = OpenRequests::default();
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
