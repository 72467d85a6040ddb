//! A shadow as a watch holds it: what the rules read of it.

use std::sync::Arc;

use api::BottlerocketShadow;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DeserializeGuard;
use serde::{Deserialize, Deserializer};

use super::{ShadowFacts, identity};

/// A shadow as a watch holds it; one that does not even have the shape of one is kept as such.
#[derive(Debug, Clone, Resource)]
#[resource(inherit = BottlerocketShadow)]
pub struct WatchedShadow {
    /// Which object it is, at which version.
    metadata: ObjectMeta,
    /// What the rules read of it.
    pub(super) facts: Arc<ShadowFacts>,
}

impl From<&DeserializeGuard<BottlerocketShadow>> for WatchedShadow {
    fn from(guarded: &DeserializeGuard<BottlerocketShadow>) -> Self {
        Self { metadata: identity(guarded.meta()), facts: Arc::new(ShadowFacts::read(guarded)) }
    }
}

impl<'de> Deserialize<'de> for WatchedShadow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DeserializeGuard::deserialize(deserializer).map(|guarded| Self::from(&guarded))
    }
}
