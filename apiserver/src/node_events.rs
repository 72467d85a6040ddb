//! What administrators are told about a node, as Events on it: only what is new, so that no drain tells the same each round.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::event::{NewEvent, regarding};
use api::names::APISERVER_FIELD_MANAGER;
use api::shadow::NodeRef;
use runtime::events::Recorder;
use tokio::time::Instant;

/// How long after an Event that a drain is blocked there is no other of that, whatever blocks it by then.
const BLOCKED_PAUSE: Duration = Duration::from_secs(60);
/// Most nodes whose last Event is remembered. Beyond that all are forgotten, and some Events are written twice.
const REMEMBERED: usize = 10_000;

/// What an Event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventReason {
    /// PodDisruptionBudgets hold up a drain.
    DrainBlocked,
    /// A drain is over.
    Drained,
    /// A drain has ended before it was over.
    DrainAborted,
    /// A node was restored that no agent restored.
    GivenBack,
    /// A cordon or label without a record was taken for the original operator's.
    Adopted,
}

impl EventReason {
    /// The Event's reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DrainBlocked => "DrainBlocked",
            Self::Drained => "Drained",
            Self::DrainAborted => "DrainAborted",
            Self::GivenBack => "GivenBack",
            Self::Adopted => "Adopted",
        }
    }

    /// Whether somebody may have to do something.
    #[must_use]
    pub const fn is_warning(self) -> bool {
        match self {
            Self::DrainBlocked | Self::DrainAborted => true,
            Self::Drained | Self::GivenBack | Self::Adopted => false,
        }
    }
}

/// Records Events on Nodes, unless they say what was said before.
#[derive(Debug)]
pub struct NodeEvents {
    recorder: Recorder,
    /// By the node's uid.
    last: Mutex<HashMap<String, LastEvents>>,
}

/// The last Events on one node.
#[derive(Debug)]
struct LastEvents {
    last: (EventReason, String),
    /// When the last one was recorded that the drain is blocked.
    blocked: Option<Instant>,
}

impl NodeEvents {
    /// Without an Event so far.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder, last: Mutex::default() }
    }

    /// Records an Event, unless it is the same as the last one on this node: `key` is what makes it the same. That a drain is
    /// blocked is recorded at most once a minute; what changes sooner is recorded then, if it is still so. Answers whether it was
    /// recorded.
    pub fn record(&self, node: &NodeRef, reason: EventReason, key: String, note: impl FnOnce() -> String) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let this = (reason, key);
        let (now, is_blocked) = (Instant::now(), reason == EventReason::DrainBlocked);
        let before = last.get(&node.uid);
        let blocked = before.and_then(|before| before.blocked);
        let too_soon = is_blocked && blocked.is_some_and(|at| now - at < BLOCKED_PAUSE);
        if too_soon || before.is_some_and(|before| before.last == this) {
            return false;
        }
        if last.len() >= REMEMBERED {
            last.clear();
        }
        last.insert(node.uid.clone(), LastEvents { last: this, blocked: if is_blocked { Some(now) } else { blocked } });
        drop(last);
        let note = note();
        tracing::info!(node = node.name, reason = reason.as_str(), note, "event");
        self.recorder.record(NewEvent {
            regarding: regarding("v1", "Node", &node.name, &node.uid),
            action: "Disrupting",
            reason: reason.as_str(),
            note,
            is_warning: reason.is_warning(),
            reporter: APISERVER_FIELD_MANAGER,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use runtime::events::{Publisher, QUEUE, events};

    use super::*;

    fn recording() -> (NodeEvents, Publisher) {
        let (recorder, publisher) = events(None, |_, _| {});
        (NodeEvents::new(recorder), publisher)
    }

    fn node(number: usize) -> NodeRef {
        NodeRef { name: format!("n{number}"), uid: format!("u{number}") }
    }

    fn record(events: &NodeEvents, number: usize, key: &str) -> bool {
        events.record(&node(number), EventReason::DrainBlocked, key.to_owned(), || "note".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_new_about_a_node_is_told_and_what_blocks_a_drain_at_most_once_a_minute() {
        let (events, mut publisher) = recording();
        assert!(record(&events, 1, "a"));
        assert!(!record(&events, 1, "a"));
        assert!(record(&events, 2, "a"), "another node");
        tokio::time::advance(BLOCKED_PAUSE - Duration::from_secs(1)).await;
        assert!(!record(&events, 1, "b"), "too soon");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(record(&events, 1, "b"));
        assert!(events.record(&node(1), EventReason::Drained, "b".to_owned(), String::new), "another reason");
        assert!(!record(&events, 1, "c"), "something else in between changes nothing");
        let queued = std::iter::from_fn(|| publisher.queue.try_recv().ok());
        let told: Vec<_> = queued.filter_map(|event| event.regarding?.name).collect();
        assert_eq!(told, ["n1", "n2", "n1", "n1"]);
    }

    #[test]
    fn nobody_waits_for_the_queue_and_memory_is_bounded() {
        let (events, publisher) = recording();
        for number in 0..=REMEMBERED {
            assert!(record(&events, number, "a"));
        }
        assert!(events.last.lock().unwrap().len() <= REMEMBERED);
        assert_eq!(publisher.queue.len(), QUEUE);
        drop(publisher);
        assert!(record(&events, 0, "b"));
    }
}
