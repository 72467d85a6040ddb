//! Which policies a node has, the one rule of it for controller and webhook.
//!
//! Of the policies that select a node the one of the highest priority applies, and none where several are the highest. A policy
//! claims its nodes whatever else is wrong with it: a paused or invalid policy must not let its nodes fall to the next one. Where
//! not even the selector or the priority can be read, it may be any node and any priority.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kube::core::{Selector, SelectorExt as _};

/// How high a policy's priority is among others. One that cannot be read is taken for the highest: what cannot be read must not be
/// overridden by what can.
#[must_use]
pub fn rank(priority: Option<i32>) -> i64 {
    priority.map_or(i64::MAX, i64::from)
}

/// Whether a policy claims a node with these labels; `None` is a selector that cannot be read.
#[must_use]
pub fn selects(selector: Option<&Selector>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_none_or(|selector| selector.matches(labels))
}

/// The policies of the highest rank of those that claim a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foremost<P> {
    /// No policy claims it.
    Nobody,
    /// This one applies.
    One(P),
    /// These are tied, in the order in which they came.
    Tied(Vec<P>),
}

/// Of the policies that claim a node those of the highest rank.
pub fn foremost<P>(claims: impl IntoIterator<Item = P>, rank: impl Fn(&P) -> i64) -> Foremost<P> {
    claims.into_iter().fold(Foremost::Nobody, |foremost, next| {
        let highest = match &foremost {
            Foremost::Nobody => return Foremost::One(next),
            Foremost::One(one) => rank(one),
            Foremost::Tied(tied) => tied.first().map_or(i64::MIN, &rank),
        };
        match rank(&next).cmp(&highest) {
            Ordering::Less => foremost,
            Ordering::Equal => foremost.tied_with(next),
            Ordering::Greater => Foremost::One(next),
        }
    })
}

impl<P> Foremost<P> {
    fn tied_with(self, next: P) -> Self {
        match self {
            Self::Nobody => Self::One(next),
            Self::One(one) => Self::Tied(vec![one, next]),
            Self::Tied(mut tied) => {
                tied.push(next);
                Self::Tied(tied)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pool: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("pool".to_owned(), pool.to_owned())])
    }

    #[test]
    fn a_selector_that_cannot_be_read_claims_every_node() {
        let blue: Selector = labels("blue").into_iter().collect();
        assert!(selects(Some(&blue), &labels("blue")));
        assert!(!selects(Some(&blue), &labels("green")));
        assert!(selects(Some(&Selector::default()), &labels("green")), "an empty one selects all");
        assert!(selects(None, &labels("green")));
    }

    #[test]
    fn the_highest_priority_applies_and_what_cannot_be_read_is_higher() {
        let foremost = |priorities: &[Option<i32>]| foremost(priorities.to_vec(), |priority| rank(*priority));
        assert_eq!(foremost(&[]), Foremost::Nobody);
        assert_eq!(foremost(&[Some(-1), Some(7), Some(0)]), Foremost::One(Some(7)));
        assert_eq!(foremost(&[Some(i32::MAX), None, Some(0)]), Foremost::One(None));
        assert_eq!(foremost(&[Some(3), Some(1), Some(3)]), Foremost::Tied(vec![Some(3), Some(3)]), "a tie");
        assert_eq!(foremost(&[None, None]), Foremost::Tied(vec![None, None]));
    }

    proptest! {
        #[test]
        fn what_is_foremost_has_no_higher_beside_it_and_leaves_no_equal_out(ranks in proptest::collection::vec(-3_i64..3, 0..6)) {
            let first = match foremost(ranks.clone(), |rank| *rank) {
                Foremost::Nobody => Vec::new(),
                Foremost::One(one) => vec![one],
                Foremost::Tied(tied) => tied,
            };
            prop_assert_eq!(first.is_empty(), ranks.is_empty());
            for rank in &first {
                prop_assert!(ranks.iter().all(|other| other <= rank));
                prop_assert_eq!(ranks.iter().filter(|other| *other == rank).count(), first.len());
            }
        }
    }
}
