//! The policies as they were a moment ago.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::GRACE;
use super::facts::PolicyFacts;

/// Whether a program may not yet know at `now` what became so at `since`.
pub(super) fn within_grace(since: Timestamp, now: Timestamp) -> bool {
    now.duration_since(since) < GRACE
}

/// All policies together, as they were from some moment on.
#[derive(Debug, Clone)]
pub(super) struct View {
    since: Timestamp,
    pub(super) policies: BTreeMap<String, PolicyFacts>,
}

/// The policies now and a moment ago.
#[derive(Debug, Default)]
pub(super) struct Views(VecDeque<View>);

impl Views {
    /// The policies now.
    pub(super) fn now(&self) -> Option<&View> {
        self.0.back()
    }

    /// The views that a program may decide on at `now`, the present one first.
    pub(super) fn recent(&self, now: Timestamp) -> impl Iterator<Item = &View> {
        let mut until = None;
        self.0.iter().rev().take_while(move |view| {
            let ended = until.replace(view.since);
            ended.is_none_or(|ended| within_grace(ended, now))
        })
    }

    pub(super) fn put(&mut self, at: Timestamp, policy: PolicyFacts) {
        self.change(at, |policies| {
            policies.insert(policy.name.clone(), policy);
        });
    }

    pub(super) fn remove(&mut self, at: Timestamp, name: &str) {
        self.change(at, |policies| {
            policies.remove(name);
        });
    }

    pub(super) fn replace(&mut self, at: Timestamp, all: Vec<PolicyFacts>) {
        self.change(at, |policies| *policies = all.into_iter().map(|policy| (policy.name.clone(), policy)).collect());
    }

    fn change(&mut self, at: Timestamp, change: impl FnOnce(&mut BTreeMap<String, PolicyFacts>)) {
        let mut policies = self.now().map(|view| view.policies.clone()).unwrap_or_default();
        change(&mut policies);
        let same = |view: &View| generations(&view.policies) == generations(&policies);
        match self.0.back_mut() {
            // A status was written: the view is no other.
            Some(view) if same(view) => view.policies = policies,
            _ => self.0.push_back(View { since: at, policies }),
        }
        while self.0.get(1).is_some_and(|next| !within_grace(next.since, at)) {
            self.0.pop_front();
        }
    }
}

fn generations(policies: &BTreeMap<String, PolicyFacts>) -> Vec<(&String, Option<i64>)> {
    policies.iter().map(|(name, policy)| (name, policy.generation)).collect()
}
