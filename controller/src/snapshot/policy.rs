//! What the rules read of a policy.

use api::policy::{AcceptedReason, InvalidPolicy, PromotionStep, parse};
use api::{Policy, UpdatePolicy, UpdatePolicyStatus};
use kube::core::{DeserializeGuard, Resource as _, Selector};
use thiserror::Error;

use super::guarded_name;
use super::progress::{Place, Step};

/// Why a policy is not followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAccepted {
    /// It cannot be read: one sentence that names the field that stands in the way.
    #[error("{0}")]
    Invalid(String),
    /// A plan was not finished in time because of it, and no other tries before it is edited.
    #[error(
        "a plan was not finished in time because of what it says; edit its spec, its health checks first, and it is tried again"
    )]
    PlanningDeadlineExceeded,
}

impl NotAccepted {
    /// The reason in the policy's condition.
    #[must_use]
    pub const fn reason(&self) -> AcceptedReason {
        match self {
            Self::Invalid(_) => AcceptedReason::Invalid,
            Self::PlanningDeadlineExceeded => AcceptedReason::PlanningDeadlineExceeded,
        }
    }
}

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
    /// What it says, or why that is not followed.
    pub accepted: Result<Policy, NotAccepted>,
    /// The status as it is stored now.
    pub status: Option<UpdatePolicyStatus>,
}

impl PolicyFacts {
    /// Whether what is stored as promoted was promoted under the rule that there is now: who lets others go first, or asks for a longer
    /// soak, means the versions on their way as well. While the policy cannot be read nobody knows, and nothing is unlatched.
    #[must_use]
    pub fn promotions_stand(&self) -> bool {
        let Ok(accepted) = &self.accepted else { return true };
        let rule: Vec<_> = accepted.versions.after.iter().map(PromotionStep::from).collect();
        let under = self.status.as_ref().map(|status| status.promoted_under.as_slice()).unwrap_or_default();
        !rule.is_empty() && rule == under
    }

    /// The work that `step` is on it.
    pub(crate) fn place(&self, step: Step) -> Place {
        Place { policy: self.name.clone(), uid: self.uid.clone(), generation: self.generation, step }
    }

    /// Reads a policy. Of one that planning did not come to an end over only the selector is read: it still owns its nodes. Labels and
    /// the operators on them take as long to read as they have bytes.
    pub(crate) fn read(guarded: &DeserializeGuard<UpdatePolicy>) -> Self {
        let name = guarded_name(guarded);
        let uid = guarded.meta().uid.clone().unwrap_or_default();
        let generation = guarded.meta().generation;
        match &guarded.0 {
            Err(invalid) => Self {
                accepted: Err(NotAccepted::Invalid(invalid.error.clone())),
                priority: None,
                selector: None,
                status: None,
                name,
                uid,
                generation,
            },
            Ok(raw) => Self {
                accepted: if exceeded_deadline(raw) {
                    Err(NotAccepted::PlanningDeadlineExceeded)
                } else {
                    Policy::try_from(raw).map_err(|error: InvalidPolicy| NotAccepted::Invalid(error.to_string()))
                },
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

/// Whether its status says that planning did not come to an end over what it says now.
pub(super) fn exceeded_deadline(raw: &UpdatePolicy) -> bool {
    let status = raw.status.as_ref();
    status.zip(raw.metadata.generation).is_some_and(|(status, generation)| status.exceeded_deadline(generation))
}
