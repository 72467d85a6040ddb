//! How much one round writes. A plan of a large cluster may ask for thousands of writes, and what people edit meanwhile acts with
//! the next plan: so a round writes a bounded number, what withdraws and finishes before what begins, and the rest is planned
//! anew.

use crate::action::Action;

/// Most writes of each kind in one round: specs, conditions, statuses. Sixteen at once and none longer than its deadline.
pub(super) const MOST: usize = 64;

/// What one round writes of a kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch<T> {
    /// What it writes.
    pub(super) now: Vec<T>,
    /// Whether there is more: the next round must not wait.
    pub(super) more: bool,
}

/// The first of `all`.
pub(super) fn batch<T>(all: impl IntoIterator<Item = T>) -> Batch<T> {
    let mut all = all.into_iter();
    let now = all.by_ref().take(MOST).collect();
    Batch { now, more: all.next().is_some() }
}

/// The first of `actions`: what withdraws, finishes or restores comes before starts and approvals.
pub(super) fn of_actions(mut actions: Vec<Action>) -> Batch<Action> {
    actions.sort_by_key(|action| action.verb.is_limited());
    batch(actions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Verb;
    use api::shadow::Desired;

    fn action(verb: Verb, node: usize) -> Action {
        Action {
            verb,
            node: node.to_string(),
            shadow: format!("brs-{node}"),
            uid: String::new(),
            resource_version: String::new(),
            before: Desired::default(),
            desired: Desired::default(),
        }
    }

    #[test]
    fn a_round_writes_no_more_than_its_batch_and_knows_that_there_is_more() {
        assert_eq!(batch(0..MOST), Batch { now: (0..MOST).collect(), more: false });
        assert_eq!(batch(0..=MOST), Batch { now: (0..MOST).collect(), more: true });
    }

    #[test]
    fn what_withdraws_and_finishes_is_written_before_what_begins() {
        let starts = (0..MOST).map(|node| action(Verb::Start, node));
        let others = [action(Verb::Withdraw, 1000), action(Verb::Restore, 1001)];
        let batch = of_actions(starts.chain(others.clone()).collect());
        assert_eq!(batch.now[..2], others);
        assert_eq!(batch.now[2].node, "0", "the order of the plan is kept");
        assert!(batch.more);
    }
}
