//! What administrators are told about a node, as Events on it: queued here, written by a task of its own, so that no drain
//! waits for it or fails with it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::shadow::NodeRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cluster::Cluster;

/// Notices that wait to be written; further ones are dropped, and the log still has them.
const QUEUE: usize = 256;
/// How long after it was told that a drain is blocked nothing more is told of that, whatever blocks it by then.
const BLOCKED_PAUSE: Duration = Duration::from_secs(60);
/// Most nodes whose last notice is remembered. Beyond that all are forgotten, and some things are told twice.
const REMEMBERED: usize = 10_000;

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// PodDisruptionBudgets hold up a drain.
    DrainBlocked,
    /// A drain is over.
    Drained,
    /// A drain has ended before it was over.
    DrainAborted,
    /// A node was given back that no agent gave back.
    GivenBack,
    /// An unmarked cordon or label was taken for the original operator's.
    Adopted,
}

impl Subject {
    /// The Event's reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
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

/// One thing that is told about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The node.
    pub node: NodeRef,
    /// What it is about.
    pub subject: Subject,
    /// The sentence for people.
    pub note: String,
}

/// Takes notices, and passes on those that are news.
#[derive(Debug)]
pub struct Notices {
    queue: mpsc::Sender<Notice>,
    /// By the node's uid.
    told: Mutex<HashMap<String, Told>>,
}

/// What one node was told of.
#[derive(Debug)]
struct Told {
    last: (Subject, String),
    /// When it was last told that the drain is blocked.
    blocked: Option<Instant>,
}

/// Notices, and where they come out.
#[must_use]
pub fn notices() -> (Notices, mpsc::Receiver<Notice>) {
    let (queue, written) = mpsc::channel(QUEUE);
    (Notices { queue, told: Mutex::default() }, written)
}

impl Notices {
    /// Tells something, unless it was the last thing told about this node: `key` is what makes it the same. That a drain is
    /// blocked is told at most once a minute; what changes sooner is told then, if it is still so. Answers whether it was told.
    pub fn tell(&self, node: &NodeRef, subject: Subject, key: String, note: impl FnOnce() -> String) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let news = (subject, key);
        let (now, is_blocked) = (Instant::now(), subject == Subject::DrainBlocked);
        let before = told.get(&node.uid);
        let blocked = before.and_then(|told| told.blocked);
        let too_soon = is_blocked && blocked.is_some_and(|at| now - at < BLOCKED_PAUSE);
        if too_soon || before.is_some_and(|told| told.last == news) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(node.uid.clone(), Told { last: news, blocked: if is_blocked { Some(now) } else { blocked } });
        drop(told);
        let notice = Notice { node: node.clone(), subject, note: note() };
        tracing::info!(node = notice.node.name, reason = subject.reason(), note = notice.note, "notice");
        if self.queue.try_send(notice).is_err() {
            tracing::debug!(node = node.name, "no room for an event");
        }
        true
    }
}

/// Writes notices as Events, one after the other, until there can be no more. One that cannot be written is dropped.
pub async fn publish(cluster: Cluster, mut notices: mpsc::Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        if let Err(error) = cluster.announce(&notice).await {
            tracing::warn!(node = notice.node.name, reason = notice.subject.reason(), %error, "cannot write an event");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeRef {
        NodeRef { name: format!("n{number}"), uid: format!("u{number}") }
    }

    fn tell(notices: &Notices, number: usize, key: &str) -> bool {
        notices.tell(&node(number), Subject::DrainBlocked, key.to_owned(), || "note".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_new_about_a_node_is_told_and_what_blocks_a_drain_at_most_once_a_minute() {
        let (notices, mut queue) = notices();
        assert!(tell(&notices, 1, "a"));
        assert!(!tell(&notices, 1, "a"));
        assert!(tell(&notices, 2, "a"), "another node");
        tokio::time::advance(BLOCKED_PAUSE - Duration::from_secs(1)).await;
        assert!(!tell(&notices, 1, "b"), "too soon");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(tell(&notices, 1, "b"));
        assert!(notices.tell(&node(1), Subject::Drained, "b".to_owned(), String::new), "another subject");
        assert!(!tell(&notices, 1, "c"), "something else in between changes nothing");
        let told: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).map(|notice| notice.node.name).collect();
        assert_eq!(told, ["n1", "n2", "n1", "n1"]);
    }

    #[test]
    fn nobody_waits_for_the_queue_and_memory_is_bounded() {
        let (notices, queue) = notices();
        for number in 0..=REMEMBERED {
            assert!(tell(&notices, number, "a"));
        }
        assert!(notices.told.lock().unwrap().len() <= REMEMBERED);
        assert_eq!(queue.len(), QUEUE);
        drop(queue);
        assert!(tell(&notices, 0, "b"));
    }
}
