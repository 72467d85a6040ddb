//! What a plan asks to be written: one write to one shadow, with everything in it that the write needs.

use api::shadow::{BottlerocketShadowSpec, Desired, OnTimeout, Shadow, ShadowDrain};
use api::{DisruptionRecord, timestamp};
use k8s_openapi::api::core::v1::Node;

/// What an action is, in the words of the way of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Begin: download and stage the image.
    Start,
    /// Approve: exclude, drain, activate and reboot.
    Approve,
    /// Let an approval that was not used yet hold for longer.
    Renew,
    /// Say anew how the node is disrupted: the policy was edited. The approval stays as it is.
    Adjust,
    /// Withdraw an approval that was not used; the image stays staged.
    Withdraw,
    /// Back to Idle before any disruption: the place is free for another node.
    Unschedule,
    /// An approval was withdrawn after it had been used: the same approval again, so that the disruption finishes.
    Reinstate,
    /// The update is healthy: restore the node.
    Restore,
    /// It is restored: Idle.
    Finish,
    /// The update ends early or has failed: Idle, so that the agent restores what it did.
    Abort,
    /// Clear what is left in the spec of an update that is over.
    Clear,
    /// The shadow has no Node, or one that is not managed.
    Delete,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 12] = [
        Self::Start,
        Self::Approve,
        Self::Renew,
        Self::Adjust,
        Self::Withdraw,
        Self::Unschedule,
        Self::Reinstate,
        Self::Restore,
        Self::Finish,
        Self::Abort,
        Self::Clear,
        Self::Delete,
    ];

    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Approve => "approve",
            Self::Renew => "renew",
            Self::Adjust => "adjust",
            Self::Withdraw => "withdraw",
            Self::Unschedule => "unschedule",
            Self::Reinstate => "reinstate",
            Self::Restore => "restore",
            Self::Finish => "finish",
            Self::Abort => "abort",
            Self::Clear => "clear",
            Self::Delete => "delete",
        }
    }

    /// Whether `check()` may keep it from being executed. Finishing and restoring always go through.
    #[must_use]
    pub const fn is_limited(self) -> bool {
        matches!(self, Self::Start | Self::Approve | Self::Renew)
    }

    /// Whether it ends an approval that an agent may be about to use.
    #[must_use]
    pub const fn withdraws_an_approval(self) -> bool {
        matches!(self, Self::Withdraw | Self::Unschedule)
    }
}

/// One write to one shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What it is.
    pub verb: Verb,
    /// The node it is about.
    pub node: String,
    /// The shadow.
    pub shadow: String,
    /// The shadow's uid: precondition.
    pub uid: String,
    /// The shadow's resourceVersion: precondition.
    pub resource_version: String,
    /// What was asked before; an approval that turns out to have been used is reinstated from it.
    pub before: Desired,
    /// What is asked from now on; nothing when the shadow is deleted.
    pub desired: Desired,
}

impl Action {
    /// `verb` on `shadow`, asking for `desired` from now on.
    #[must_use]
    pub fn new(verb: Verb, shadow: &Shadow, desired: Desired) -> Self {
        Self {
            verb,
            node: shadow.node.name.clone(),
            shadow: shadow.name.clone(),
            uid: shadow.uid.clone(),
            resource_version: shadow.resource_version.clone(),
            before: shadow.desired.clone(),
            desired,
        }
    }
}

impl Action {
    /// Whether it ends an approval that an agent may be about to use.
    #[must_use]
    pub fn withdraws_an_approval(&self) -> bool {
        self.verb.withdraws_an_approval() && self.before.approval().is_some()
    }

    /// Whether the approval that this action has withdrawn was used before: `node`, read past the caches after the write, carries
    /// the record of that very approval. It is reinstated then, so that the disruption finishes.
    #[must_use]
    pub fn came_too_late(&self, node: &Node) -> bool {
        let record = DisruptionRecord::decode(node.metadata.annotations.as_ref()).ok().flatten();
        record.is_some_and(|record| Some(record.approval) == self.before.approval())
    }
}

/// `desired` as the shadow's spec stores it.
#[must_use]
pub fn stored(desired: &Desired) -> BottlerocketShadowSpec {
    BottlerocketShadowSpec {
        state: desired.state,
        state_transition_timestamp: desired.since.map(timestamp::render),
        version: desired.version.as_ref().map(ToString::to_string),
        policy: desired.policy.clone(),
        disrupt_not_after: desired.disrupt_not_after.map(timestamp::render),
        exclude_from_lb_wait_time_in_sec: (desired.exclusion_wait_seconds > 0)
            .then(|| i64::from(desired.exclusion_wait_seconds)),
        drain: desired.drain.map(|(seconds, on_timeout): (u32, OnTimeout)| ShadowDrain {
            timeout_seconds: i64::from(seconds),
            on_timeout,
        }),
    }
}
