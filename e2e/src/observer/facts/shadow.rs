//! A BottlerocketShadow as the rules read it.

use api::{BottlerocketShadow, Shadow};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use super::version;

/// A BottlerocketShadow.
#[derive(Debug, Clone)]
pub struct ShadowFacts {
    /// Its name.
    pub name: String,
    /// The node it is about.
    pub node: String,
    /// Its resourceVersion.
    pub version: u64,
    /// What it says, or why it cannot be read.
    pub shadow: Result<Box<Shadow>, String>,
    /// Who wrote which of its fields.
    pub managers: Vec<ManagedFieldsEntry>,
}

impl ShadowFacts {
    /// What it says, when it can be read.
    #[must_use]
    pub fn readable(&self) -> Option<&Shadow> {
        self.shadow.as_deref().ok()
    }
}

impl From<&BottlerocketShadow> for ShadowFacts {
    fn from(raw: &BottlerocketShadow) -> Self {
        let meta = &raw.metadata;
        let name = meta.name.clone().unwrap_or_default();
        let shadow = Shadow::try_from(raw).map(Box::new).map_err(|error| error.to_string());
        let node = match &shadow {
            Ok(shadow) => shadow.node.name.clone(),
            // The name is all that is left to tell the node by.
            Err(_) => name.strip_prefix("brs-").unwrap_or(&name).to_owned(),
        };
        let managers = meta.managed_fields.clone().unwrap_or_default();
        Self { name, node, version: version(meta), shadow, managers }
    }
}
