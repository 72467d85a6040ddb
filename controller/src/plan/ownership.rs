//! Which policy applies to a node.
//!
//! Of the policies that select it the one of the highest priority. A policy owns its nodes whatever else is wrong with it: a
//! paused or invalid policy must not let its nodes fall to the next one. A policy whose selector cannot be read may select
//! any node, so it owns every node that no policy of known higher priority owns.

use std::collections::BTreeMap;

use kube::core::SelectorExt as _;

use crate::snapshot::{NodeFacts, PolicyFacts};

/// Whose a node is.
#[derive(Debug)]
pub(super) enum Owner<'a> {
    /// No policy selects it, or it is not managed.
    Nobody,
    /// This policy.
    Policy(&'a PolicyFacts),
    /// These policies, all of the highest priority: none of them may update it.
    Tied(Vec<&'a PolicyFacts>),
}

impl<'a> Owner<'a> {
    /// The one policy that applies.
    pub(super) const fn policy(&self) -> Option<&'a PolicyFacts> {
        match self {
            Self::Policy(policy) => Some(policy),
            Self::Nobody | Self::Tied(_) => None,
        }
    }

    /// The names of all that claim the node.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Policy(policy) => vec![policy.name.clone()],
            Self::Tied(policies) => policies.iter().map(|policy| policy.name.clone()).collect(),
        }
    }
}

pub(super) fn owner<'a>(policies: &'a BTreeMap<String, PolicyFacts>, node: &NodeFacts) -> Owner<'a> {
    if !node.managed {
        return Owner::Nobody;
    }
    let claims: Vec<_> = policies.values().filter(|policy| claims(policy, node)).collect();
    // An unknown priority is taken for the highest: what cannot be read must not be overridden by what can.
    let rank = |policy: &PolicyFacts| policy.priority.map_or(i64::MAX, i64::from);
    let Some(highest) = claims.iter().map(|policy| rank(policy)).max() else { return Owner::Nobody };
    let mut first: Vec<_> = claims.into_iter().filter(|policy| rank(policy) == highest).collect();
    match (first.pop(), first.is_empty()) {
        (Some(only), true) => Owner::Policy(only),
        (Some(last), false) => {
            first.push(last);
            Owner::Tied(first)
        }
        (None, _) => Owner::Nobody,
    }
}

fn claims(policy: &PolicyFacts, node: &NodeFacts) -> bool {
    policy.selector.as_ref().is_none_or(|selector| selector.matches(&node.labels))
}
