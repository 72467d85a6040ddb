//! Which nodes are in flight, for those who look at the controller from outside: the webhook and the tests' observers.
//!
//! The controller's plan and its check have this rule once more, each by itself, so that a mistake in one is found by the others.

use jiff::{SignedDuration, Timestamp};
use semver::Version;

use crate::shadow::{Observed, Verdict};
use crate::{DisruptionRecord, Shadow, State};

/// An agent of the original operator, which has no probe, counts as silent once its node has been asked to be Idle for this long.
const ORIGINAL_IS_SILENT_AFTER: SignedDuration = SignedDuration::from_mins(30);

/// Something is there and cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// What says whether a node is in flight. A Node that was deleted has no facts, and is not in flight.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whether the node is managed.
    pub managed: bool,
    /// Its disruption record.
    pub record: Result<Option<&'a DisruptionRecord>, Unreadable>,
    /// Its shadow. One that an earlier Node of the same name has left behind is not its own.
    pub shadow: Option<Result<&'a Shadow, Unreadable>>,
    /// The version whose failure an administrator has acknowledged on it.
    pub failure_acknowledged: Option<&'a Version>,
    /// Whether the pod of its agent is Ready.
    pub agent_ready: bool,
    /// The present moment.
    pub now: Timestamp,
}

impl Facts<'_> {
    /// Whether the node's update has started and has not ended: its spec or status is not Idle, or it carries a record. A failed node
    /// is not in flight, nor is one that nobody is left to act on and that carries nothing to undo.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        if self.has_failed() {
            return false;
        }
        match self.shadow {
            _ if self.has_record() => true,
            None => false,
            Some(Err(Unreadable)) => true,
            Some(Ok(shadow)) => {
                let asked = shadow.desired.state != State::Idle;
                let reports = shadow.observed.as_ref().is_some_and(|observed| observed.state != State::Idle);
                self.managed && (asked || (reports && !self.is_silent(shadow)))
            }
        }
    }

    /// Whether the node is in flight, and approved or disrupted.
    #[must_use]
    pub fn is_disrupted(&self) -> bool {
        let approved = || self.shadow.is_some_and(|shadow| is_approved(shadow.ok()));
        self.is_in_flight() && (self.has_record() || approved())
    }

    /// Whether the controller's verdict keeps the node out of the limits: it is about the version that the node is asked to run, or is
    /// restored from, and nobody has acknowledged it. A node of the original operator whose update failed is restored like any other.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let Some(Ok(shadow)) = self.shadow else { return false };
        let Some(failed) = shadow.observed.as_ref().and_then(|observed| observed.failed.as_ref()) else { return false };
        let version = match shadow.desired.state {
            State::RebootedIntoUpdate => shadow.desired.version.as_ref(),
            State::Idle => self.record.ok().flatten().map(|record| &record.approval.version),
            _ => None,
        };
        version == Some(&failed.version)
            && failed.kind != Verdict::Unknown
            && self.failure_acknowledged != Some(&failed.version)
    }

    const fn has_record(&self) -> bool {
        !matches!(self.record, Ok(None))
    }

    fn is_silent(&self, shadow: &Shadow) -> bool {
        let is_ours = |observed: &Observed| observed.agent_version.is_some();
        if shadow.observed.as_ref().is_some_and(is_ours) {
            return !self.agent_ready;
        }
        let until = shadow.desired.since.and_then(|since| since.checked_add(ORIGINAL_IS_SILENT_AFTER).ok());
        until.is_some_and(|until| until <= self.now)
    }
}

/// A shadow that cannot be read (`None`) may hold an approval.
fn is_approved(shadow: Option<&Shadow>) -> bool {
    shadow.is_none_or(|shadow| shadow.desired.state == State::RebootedIntoUpdate)
}

#[cfg(test)]
mod tests;
