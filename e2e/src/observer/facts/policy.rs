//! An UpdatePolicy as the rules read it.

use std::collections::BTreeSet;

use api::policy::parse;
use api::{Policy, UpdatePolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::core::Selector;

use super::version;

/// An UpdatePolicy.
#[derive(Debug, Clone)]
pub struct PolicyFacts {
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub version: u64,
    /// Which spec it is.
    pub generation: Option<i64>,
    /// Which policy applies where several select a node.
    pub priority: i32,
    /// The nodes it selects; `None` when that cannot be read: then it may be any.
    pub selector: Option<Selector>,
    /// What it says, or why it is not accepted.
    pub policy: Result<Policy, String>,
    /// The versions that its status calls promoted.
    pub promoted: BTreeSet<String>,
    /// Who wrote which of its fields.
    pub managers: Vec<ManagedFieldsEntry>,
}

impl From<&UpdatePolicy> for PolicyFacts {
    fn from(raw: &UpdatePolicy) -> Self {
        let meta = &raw.metadata;
        let versions = raw.status.iter().flat_map(|status| &status.versions);
        Self {
            name: meta.name.clone().unwrap_or_default(),
            version: version(meta),
            generation: meta.generation,
            priority: raw.spec.priority,
            selector: parse::selector(&raw.spec).ok(),
            policy: Policy::try_from(&raw.spec).map_err(|error| error.to_string()),
            promoted: versions.filter(|seen| seen.promoted_at.is_some()).map(|seen| seen.version.clone()).collect(),
            managers: meta.managed_fields.clone().unwrap_or_default(),
        }
    }
}
