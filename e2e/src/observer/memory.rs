//! What the observer remembers of one node beyond how it is now.

use std::collections::VecDeque;

use api::{ApprovalId, shadow::Desired};
use jiff::Timestamp;

use super::facts::NodeFacts;
use super::views::within_grace;

/// Orders remembered; renewing an approval is one.
const MOST_ORDERS: usize = 64;

/// How a Node was before its first mark, and what somebody else did to it since.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) unschedulable: bool,
    pub(super) exclusion: Option<String>,
    pub(super) cordon_by_others: Option<bool>,
    pub(super) exclusion_by_others: Option<Option<String>>,
}

impl From<&NodeFacts> for Before {
    fn from(node: &NodeFacts) -> Self {
        Self {
            unschedulable: node.unschedulable,
            exclusion: node.exclusion().cloned(),
            cordon_by_others: None,
            exclusion_by_others: None,
        }
    }
}

/// A disruption that a mark tells of.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    /// The approval that the mark names.
    pub(super) approval: ApprovalId,
    /// How many orders there had been when the mark was written.
    desired_specs: u64,
    /// Whether something was done to the Node under it.
    pub(super) acted: bool,
}

/// A host that is down because its agent asked for it.
#[derive(Debug, Clone)]
pub(super) struct Down {
    /// The version that the shadow named then.
    pub(super) version: Option<semver::Version>,
}

#[derive(Debug, Clone)]
struct Given {
    number: u64,
    since: Timestamp,
    desired: Desired,
}

/// What the observer remembers of one node.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How the Node was before its first mark; `None` when it is not marked or that was not seen.
    pub(super) before: Option<Before>,
    pub(super) begun: Option<Begun>,
    pub(super) down: Option<Down>,
    desired_specs: VecDeque<Given>,
    given: u64,
}

impl Memory {
    /// Takes note of what the node is asked to do from now on.
    pub(super) fn desired(&mut self, at: Timestamp, desired: &Desired) {
        if self.current().is_some_and(|current| current == desired) {
            return;
        }
        self.given += 1;
        self.desired_specs.push_back(Given { number: self.given, since: at, desired: desired.clone() });
        if self.desired_specs.len() > MOST_ORDERS {
            self.desired_specs.pop_front();
        }
    }

    /// Forgets the Node: there is another of its name, or it was not seen before.
    pub(super) fn forget_node(&mut self) {
        (self.before, self.begun, self.down) = (None, None, None);
    }

    /// Takes note of a mark that names `go`.
    pub(super) fn begin(&mut self, approval: &ApprovalId) {
        self.begun = Some(Begun { approval: approval.clone(), desired_specs: self.given, acted: false });
    }

    /// What the node was asked to do last.
    pub(super) fn current(&self) -> Option<&Desired> {
        self.desired_specs.back().map(|given| &given.desired)
    }

    /// The orders that were in force at some time within the grace, the newest first.
    fn recent(&self, now: Timestamp) -> impl Iterator<Item = &Given> {
        let mut until = None;
        self.desired_specs.iter().rev().take_while(move |given| {
            let ended = until.replace(given.since);
            ended.is_none_or(|ended| within_grace(ended, now))
        })
    }

    /// Whether such an order was in force at some time within the grace.
    pub(super) fn was_asked(&self, now: Timestamp, what: impl Fn(&Desired) -> bool) -> bool {
        self.recent(now).any(|given| what(&given.desired))
    }

    /// Whether the approval was ever given, as far as is known.
    pub(super) fn knows(&self, approval: &ApprovalId) -> bool {
        self.desired_specs.iter().any(|given| given.desired.approval().as_ref() == Some(approval))
    }

    /// Whether the approval of the mark was there at some time since the mark was written, and at some time within the grace.
    pub(super) fn approval_was_there(&self, now: Timestamp) -> bool {
        self.begun.as_ref().is_some_and(|begun| {
            let since = |given: &Given| given.number >= begun.desired_specs;
            self.recent(now).any(|given| since(given) && given.desired.approval().as_ref() == Some(&begun.approval))
        })
    }

    /// When the approval expires, as it was renewed last.
    pub(super) fn expiry(&self, approval: &ApprovalId) -> Option<Timestamp> {
        let named = |given: &&Given| given.desired.approval().as_ref() == Some(approval);
        self.desired_specs.iter().rev().find(named).and_then(|given| given.desired.disrupt_not_after)
    }
}
