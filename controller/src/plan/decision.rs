//! What is decided for one node.

use api::Shadow;
use api::shadow::Desired;
use jiff::Timestamp;
use semver::Version;

use super::hold::Hold;
use crate::action::{Action, Verb};

/// What is decided for one node by itself, before nodes are held against each other.
#[derive(Debug)]
pub(super) struct Decision<'a> {
    /// What is to be done.
    pub(super) next: Next<'a>,
    /// Why the node does not move.
    pub(super) hold: Option<Hold>,
    /// When time alone changes the decision.
    pub(super) wake_at: Option<Timestamp>,
}

/// What is to be done with a node.
#[derive(Debug)]
pub(super) enum Next<'a> {
    /// Nothing.
    Wait,
    /// This write.
    Write(Box<Action>),
    /// What it asks for, if there is a place.
    Candidate(Box<Candidate<'a>>),
}

/// A node that may go on if it gets a place within the limits.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    /// What it asks for.
    pub(super) of: Limited,
    /// The version to stage or to disrupt the node for.
    pub(super) version: &'a Version,
    /// The decision if it gets none. If it has a hold, that takes precedence over the limit's.
    pub(super) otherwise: Decision<'a>,
}

/// What there is a limited number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    /// Places to stage an image.
    Start,
    /// Approvals.
    Approval,
}

impl<'a> Decision<'a> {
    /// Nothing is done.
    pub(super) const fn wait() -> Self {
        Self { next: Next::Wait, hold: None, wake_at: None }
    }

    /// Nothing is done, for this reason.
    pub(super) fn hold(hold: Hold) -> Self {
        Self { hold: Some(hold), ..Self::wait() }
    }

    /// The shadow's spec becomes `desired`.
    pub(super) fn write(verb: Verb, shadow: &Shadow, desired: Desired) -> Self {
        Self { next: Next::Write(Box::new(Action::new(verb, shadow, desired))), ..Self::wait() }
    }

    /// The node may go on to `version` if there is a place.
    pub(super) fn candidate(of: Limited, version: &'a Version, otherwise: Self) -> Self {
        Self { next: Next::Candidate(Box::new(Candidate { of, version, otherwise })), ..Self::wait() }
    }

    /// It is decided anew no later than `at`.
    pub(super) fn until(self, at: impl IntoIterator<Item = Timestamp>) -> Self {
        Self { wake_at: self.wake_at.into_iter().chain(at).min(), ..self }
    }

    /// Merges `more`, which is about the same node, into this decision. This one's write wins, the hold of `more` wins,
    /// and so does the earlier time to wake up.
    pub(super) fn with(self, more: Self) -> Self {
        let next = if matches!(self.next, Next::Wait) { more.next } else { self.next };
        Self { next, hold: more.hold.or(self.hold), ..self }.until(more.wake_at)
    }

    /// What is written.
    pub(super) fn action(&self) -> Option<&Action> {
        match &self.next {
            Next::Write(action) => Some(action),
            Next::Wait | Next::Candidate(_) => None,
        }
    }

    /// Whether the node keeps what it has: nothing is written that ends its update or its approval.
    pub(super) fn keeps_update(&self) -> bool {
        self.action().is_none_or(|action| matches!(action.verb, Verb::Adjust | Verb::Renew))
    }
}
