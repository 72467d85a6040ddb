//! What the rules read of a policy.

use api::{
    Policy, UpdatePolicy, UpdatePolicyStatus,
    policy::{InvalidPolicy, PromotionStep, parse},
};
use kube::core::{DeserializeGuard, Resource as _, Selector};

use super::guarded_name;

/// One policy: what it says, or why it says nothing that can be followed.
#[derive(Debug, Clone)]
pub struct PolicyFacts {
    /// Its name.
    pub name: String,
    /// Its uid, the precondition of a status write.
    pub uid: String,
    /// The generation of what is read here.
    pub generation: Option<i64>,
    /// Its priority; `None` when not even that can be read.
    pub priority: Option<i32>,
    /// The nodes it owns; `None` when not even that can be read.
    pub selector: Option<Selector>,
    /// What it says, or one sentence that names the field that stands in the way.
    pub accepted: Result<Policy, String>,
    /// The status as it is stored now.
    pub status: Option<UpdatePolicyStatus>,
}

impl PolicyFacts {
    /// Whether what is stored as promoted was promoted under the rule that there is now: who lets others go first, or asks for a longer
    /// soak, means the versions on their way as well. While the policy cannot be read nobody knows, and nothing is taken back.
    #[must_use]
    pub fn promotions_stand(&self) -> bool {
        let Ok(accepted) = &self.accepted else { return true };
        let rule: Vec<_> = accepted.versions.after.iter().map(PromotionStep::from).collect();
        let under = self.status.as_ref().map(|status| status.promoted_under.as_slice()).unwrap_or_default();
        !rule.is_empty() && rule == under
    }

    pub(crate) fn read(guarded: &DeserializeGuard<UpdatePolicy>) -> Self {
        let name = guarded_name(guarded);
        let uid = guarded.meta().uid.clone().unwrap_or_default();
        let generation = guarded.meta().generation;
        match &guarded.0 {
            Err(invalid) => Self {
                accepted: Err(invalid.error.clone()),
                priority: None,
                selector: None,
                status: None,
                name,
                uid,
                generation,
            },
            Ok(raw) => Self {
                accepted: Policy::try_from(raw).map_err(|error: InvalidPolicy| error.to_string()),
                priority: Some(raw.spec.priority),
                selector: parse::selector(&raw.spec).ok(),
                status: raw.status.clone(),
                name,
                uid,
                generation,
            },
        }
    }
}
