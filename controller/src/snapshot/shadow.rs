//! What the rules read of a shadow.

use std::collections::BTreeSet;

use api::{BottlerocketShadow, Shadow, names, shadow::Failed};
use kube::core::DeserializeGuard;

use super::guarded_name;

/// One shadow, or why it cannot be read.
#[derive(Debug, Clone)]
pub enum ShadowFacts {
    /// It can be read.
    Readable(Box<Shadow>),
    /// It cannot be read, or a write to it has an outcome that is not known yet. It counts as in flight and gets no action.
    Unreadable {
        /// The name of its Node, taken from its own name.
        node: String,
        /// One sentence.
        reason: String,
        /// The policies whose limits it may count for besides that of its node's policy: it may name one of them.
        may_name: BTreeSet<String>,
        /// The verdict that was stored when it was read last: it counts for a halt all the same.
        failed: Option<Failed>,
    },
}

impl ShadowFacts {
    pub(super) fn read(guarded: &DeserializeGuard<BottlerocketShadow>) -> Self {
        let name = guarded_name(guarded);
        let unreadable =
            |reason| Self::Unreadable { node: node_in(&name), reason, may_name: BTreeSet::new(), failed: None };
        match &guarded.0 {
            Err(invalid) => unreadable(format!("shadow {name} cannot be read: {}", invalid.error)),
            Ok(raw) => match Shadow::try_from(raw) {
                Ok(shadow) if shadow.name == names::shadow_name(&shadow.node.name) => Self::Readable(Box::new(shadow)),
                Ok(shadow) => {
                    unreadable(format!("shadow {name} belongs to Node {} by its owner reference", shadow.node.name))
                }
                Err(error) => unreadable(error.to_string()),
            },
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

    /// The policies that it names, or may name: its node began under one of them.
    pub fn began_under(&self) -> impl Iterator<Item = &str> {
        let (named, may_name) = match self {
            Self::Readable(shadow) => (shadow.order.policy.as_deref(), None),
            Self::Unreadable { may_name, .. } => (None, Some(may_name)),
        };
        named.into_iter().chain(may_name.into_iter().flatten().map(String::as_str))
    }

    /// The verdict that is stored, or was when the shadow was read last.
    #[must_use]
    pub fn failed(&self) -> Option<&Failed> {
        match self {
            Self::Readable(shadow) => shadow.report.as_ref()?.failed.as_ref(),
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
