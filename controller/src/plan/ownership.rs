//! Which policy applies to a node.
//!
//! The rule itself is [`claim`]'s, which admission warns by.

use std::collections::BTreeMap;

use api::policy::claim::{self, Foremost};

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
}

pub(super) fn owner<'a>(policies: &'a BTreeMap<String, PolicyFacts>, node: &NodeFacts) -> Owner<'a> {
    if !node.managed {
        return Owner::Nobody;
    }
    let claims = policies.values().filter(|policy| claim::selects(policy.selector.as_ref(), &node.labels));
    match claim::foremost(claims, |policy| claim::rank(policy.priority)) {
        Foremost::Nobody => Owner::Nobody,
        Foremost::One(policy) => Owner::Policy(policy),
        Foremost::Tied(policies) => Owner::Tied(policies),
    }
}
