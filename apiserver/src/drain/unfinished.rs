//! What one request of a drain leaves to the next: agents ask anew every few seconds, and neither the patience that the API
//! asks for nor the time that a pod has waited begins anew with that.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::tracker::Tracker;

/// How long it is kept for the next request: longer than any pause the API can ask for, and than any agent takes.
const KEPT: Duration = Duration::from_secs(120);
/// Most drains that are remembered; further ones begin anew with each request.
const MOST: usize = 1000;

/// The drains that are not over, by the node's uid. It is lost with the program, which costs one early eviction for each pod.
#[derive(Debug, Default)]
pub struct UnfinishedDrains(Mutex<HashMap<String, UnfinishedDrain>>);

#[derive(Debug)]
struct UnfinishedDrain {
    drain: Timestamp,
    begun: Instant,
    tracker: Tracker,
    at: Instant,
}

impl UnfinishedDrains {
    /// What the last request left of the drain of a node that began at `drain`, and since when its times are counted.
    #[must_use]
    pub fn take(&self, node_uid: &str, drain: Timestamp) -> (Tracker, Instant) {
        let now = Instant::now();
        let mut drains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match drains.remove(node_uid).filter(|left| left.drain == drain && now - left.at <= KEPT) {
            Some(mut left) => {
                left.tracker.resume();
                (left.tracker, left.begun)
            }
            None => (Tracker::default(), now),
        }
    }

    /// Leaves something for the next request.
    pub fn leave(&self, node_uid: &str, drain: Timestamp, tracker: Tracker, begun: Instant) {
        let now = Instant::now();
        let mut drains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drains.retain(|_, left| now - left.at <= KEPT);
        if tracker.left() > 0 && drains.len() < MOST {
            drains.insert(node_uid.to_owned(), UnfinishedDrain { drain, begun, tracker, at: now });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::select::samples::pod;
    use super::*;

    fn tracker() -> Tracker {
        let mut tracker = Tracker::default();
        tracker.observe(vec![pod("a")], Duration::ZERO);
        tracker
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_next_request_of_the_same_drain_finds_it_and_only_for_a_while() {
        let (drains, drain) = (UnfinishedDrains::default(), Timestamp::UNIX_EPOCH);
        let begun = Instant::now();
        drains.leave("u", drain, tracker(), begun);
        tokio::time::advance(KEPT).await;
        let (found, since) = drains.take("u", drain);
        assert_eq!((found.left(), since), (1, begun));
        assert_eq!(drains.take("u", drain).0.left(), 0, "taken");
        drains.leave("u", drain, found, begun);
        assert_eq!(drains.take("u", Timestamp::MAX).0.left(), 0, "another drain");
        drains.leave("u", drain, tracker(), begun);
        tokio::time::advance(KEPT + Duration::from_secs(1)).await;
        assert_eq!(drains.take("u", drain).0.left(), 0, "too late");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded_and_goes_by_itself() {
        let (drains, drain) = (UnfinishedDrains::default(), Timestamp::UNIX_EPOCH);
        for number in 0..=MOST {
            drains.leave(&number.to_string(), drain, tracker(), Instant::now());
        }
        assert_eq!(drains.0.lock().unwrap().len(), MOST);
        tokio::time::advance(KEPT + Duration::from_secs(1)).await;
        drains.leave("u", drain, Tracker::default(), Instant::now());
        assert_eq!(drains.0.lock().unwrap().len(), 0);
    }
}
