//! What the observer remembers of one node beyond how it is now.

use std::collections::VecDeque;

use api::ApprovalId;
use api::shadow::Desired;
use jiff::Timestamp;

use super::facts::NodeFacts;
use super::views::within_grace;

/// Specs remembered; one whose approval is renewed is another.
const MOST_SPECS: usize = 64;

/// How a Node was before its first record, and what somebody else did to it since.
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

/// A disruption that a record tells of.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    /// The approval that the record names.
    pub(super) approval: ApprovalId,
    /// How many specs there had been when the record was written.
    specs: u64,
    /// Whether something was done to the Node under it.
    pub(super) acted: bool,
}

/// A host that is down because its agent asked for it.
#[derive(Debug, Clone)]
pub(super) struct Down {
    /// The version that the shadow named then.
    pub(super) version: Option<semver::Version>,
}

/// A spec, with when it was written.
#[derive(Debug, Clone)]
struct Written {
    number: u64,
    since: Timestamp,
    desired: Desired,
}

/// What the observer remembers of one node.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How the Node was before its first record; `None` when it carries none or that was not seen.
    pub(super) before: Option<Before>,
    pub(super) begun: Option<Begun>,
    pub(super) down: Option<Down>,
    specs: VecDeque<Written>,
    written: u64,
}

impl Memory {
    /// Takes note of what the node is asked to do from now on.
    pub(super) fn desired(&mut self, at: Timestamp, desired: &Desired) {
        if self.current().is_some_and(|current| current == desired) {
            return;
        }
        self.written += 1;
        self.specs.push_back(Written { number: self.written, since: at, desired: desired.clone() });
        if self.specs.len() > MOST_SPECS {
            self.specs.pop_front();
        }
    }

    /// Forgets the Node: there is another of its name, or it was not seen before.
    pub(super) fn forget_node(&mut self) {
        (self.before, self.begun, self.down) = (None, None, None);
    }

    /// Takes note of a record that names `approval`.
    pub(super) fn begin(&mut self, approval: &ApprovalId) {
        self.begun = Some(Begun { approval: approval.clone(), specs: self.written, acted: false });
    }

    /// What the node was asked to do last.
    pub(super) fn current(&self) -> Option<&Desired> {
        self.specs.back().map(|written| &written.desired)
    }

    /// The specs that were in force at some time within the grace, the newest first.
    fn recent(&self, now: Timestamp) -> impl Iterator<Item = &Written> {
        let mut until = None;
        self.specs.iter().rev().take_while(move |written| {
            let ended = until.replace(written.since);
            ended.is_none_or(|ended| within_grace(ended, now))
        })
    }

    /// Whether such a spec was in force at some time within the grace.
    pub(super) fn was_asked(&self, now: Timestamp, what: impl Fn(&Desired) -> bool) -> bool {
        self.recent(now).any(|written| what(&written.desired))
    }

    /// Whether the approval was ever given, as far as is known.
    pub(super) fn knows(&self, approval: &ApprovalId) -> bool {
        self.specs.iter().any(|written| written.desired.approval().as_ref() == Some(approval))
    }

    /// Whether the approval that the record names was there at some time since the record was written, and at some time within the grace.
    pub(super) fn approval_was_there(&self, now: Timestamp) -> bool {
        self.begun.as_ref().is_some_and(|begun| {
            let since = |written: &Written| written.number >= begun.specs;
            self.recent(now)
                .any(|written| since(written) && written.desired.approval().as_ref() == Some(&begun.approval))
        })
    }

    /// When the approval expires, as it was renewed last.
    pub(super) fn expiry(&self, approval: &ApprovalId) -> Option<Timestamp> {
        let named = |written: &&Written| written.desired.approval().as_ref() == Some(approval);
        self.specs.iter().rev().find(named).and_then(|written| written.desired.disrupt_not_after)
    }
}
