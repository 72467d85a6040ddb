//! The objects as the rules read them.

mod budget;
mod node;
mod pod;
mod policy;
mod shadow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use budget::BudgetFacts;
pub use node::NodeFacts;
pub use pod::PodFacts;
pub use policy::PolicyFacts;
pub use shadow::ShadowFacts;

/// The place of an object's last write in the order of all writes; 0 when it has none.
fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}
