//! What the rules read of a shadow.

use std::collections::{BTreeMap, BTreeSet};

use api::shadow::Failed;
use api::{BottlerocketShadow, Shadow, names};
use kube::core::DeserializeGuard;

use super::{NodeFacts, guarded_name};

/// One shadow, or why it cannot be read.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all can be read, and each has an allocation of its own already")]
pub enum ShadowFacts {
    /// It can be read.
    Readable(Shadow),
    /// It cannot be read, or a write to it has an outcome that is not known yet. It counts as in flight and gets no action.
    Unreadable {
        /// The name of its Node, taken from its own name.
        node: String,
        /// One sentence.
        reason: String,
        /// The policies whose limits it counts for besides that of its node's policy: it may name one of them.
        may_name: MayName,
        /// The verdict that was stored when it was read last: it counts for a halt all the same.
        failed: Option<Failed>,
    },
}

/// Which policies a shadow that cannot be read may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayName {
    /// One of these.
    OneOf(BTreeSet<String>),
    /// Any: nothing of it can be read.
    Any,
}

impl ShadowFacts {
    pub(super) fn read(guarded: &DeserializeGuard<BottlerocketShadow>) -> Self {
        let name = guarded_name(guarded);
        let raw = match &guarded.0 {
            Err(invalid) => {
                let reason = format!("shadow {name} cannot be read: {}", invalid.error);
                return Self::Unreadable { node: node_in(&name), reason, may_name: MayName::Any, failed: None };
            }
            Ok(raw) => raw,
        };
        let unreadable = |reason| Self::Unreadable {
            node: node_in(&name),
            reason,
            may_name: MayName::OneOf(raw.spec.policy.iter().cloned().collect()),
            failed: raw.status.as_ref().and_then(|status| Failed::try_from(status.failed.as_ref()?).ok()),
        };
        match Shadow::try_from(raw) {
            Ok(shadow) if shadow.name == names::shadow_name(&shadow.node.name) => Self::Readable(shadow),
            Ok(shadow) => {
                unreadable(format!("shadow {name} belongs to Node {} by its owner reference", shadow.node.name))
            }
            Err(error) => unreadable(error.to_string()),
        }
    }

    /// The name of the Node it belongs to.
    #[must_use]
    pub fn node_name(&self) -> &str {
        match self {
            Self::Readable(shadow) => &shadow.node.name,
            Self::Unreadable { node, .. } => node,
        }
    }

    /// Whether it is that of `node`, which has the name of its Node, and not of an earlier Node of that name, as far as it can be
    /// read.
    pub(super) fn belongs_to(&self, node: &NodeFacts) -> bool {
        self.readable().is_none_or(|shadow| shadow.node.uid == node.uid)
    }

    /// Those of `policies` that it names, or may name: its node began under one of them.
    pub fn began_under<'a, T>(&'a self, policies: &'a BTreeMap<String, T>) -> impl Iterator<Item = (&'a str, &'a T)> {
        let (named, any) = match self {
            Self::Readable(shadow) => (shadow.desired.policy.iter().collect(), None),
            Self::Unreadable { may_name: MayName::OneOf(names), .. } => (names.iter().collect::<Vec<_>>(), None),
            Self::Unreadable { may_name: MayName::Any, .. } => (Vec::new(), Some(policies)),
        };
        let named = named.into_iter().filter_map(|name| policies.get_key_value(name));
        named.chain(any.into_iter().flatten()).map(|(name, policy)| (name.as_str(), policy))
    }

    /// The verdict that is stored, or was when the shadow was read last.
    #[must_use]
    pub fn failed(&self) -> Option<&Failed> {
        match self {
            Self::Readable(shadow) => shadow.observed.as_ref()?.failed.as_ref(),
            Self::Unreadable { failed, .. } => failed.as_ref(),
        }
    }

    /// The shadow, if it can be read.
    #[must_use]
    pub fn readable(&self) -> Option<&Shadow> {
        match self {
            Self::Readable(shadow) => Some(shadow),
            Self::Unreadable { .. } => None,
        }
    }
}

fn node_in(shadow: &str) -> String {
    shadow.strip_prefix("brs-").unwrap_or(shadow).to_owned()
}
