//! The Kubernetes Events that follow from what the controller wrote: only what has just become so.
//!
//! What holds a drain up is told by the apiserver, which sees it.

use api::event::{NewEvent, regarding};
use api::names::{CONTROLLER_FIELD_MANAGER, GROUP};
use api::policy::PolicyCondition;
use api::shadow::Observed;
use api::{State, UpdatePolicyStatus};
use k8s_openapi::api::core::v1::ObjectReference;

use crate::action::{Action, Verb};
use crate::snapshot::{PolicyFacts, Snapshot};

/// What an Event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventReason {
    /// The update of a node has begun.
    Started,
    /// A node may be disrupted.
    Approved,
    /// A node is updated and restored.
    Done,
    /// An update has failed.
    Failed,
    /// An agent reports what does not follow from what it was asked for, and its node begins anew.
    Reset,
    /// Somebody has acknowledged a failure, and the node that was kept out for it is restored.
    Acknowledged,
    /// Several policies claim the same nodes.
    Conflict,
    /// Too many nodes have failed on a version.
    Halted,
    /// They have not any more, or a newer version has come.
    Resumed,
    /// A schedule has opened.
    WindowOpened,
    /// A schedule has closed.
    WindowClosed,
    /// A version may be taken after others have run it.
    Promoted,
}

impl EventReason {
    /// The Event's reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "UpdateStarted",
            Self::Approved => "DisruptionAllowed",
            Self::Done => "Updated",
            Self::Failed => "UpdateFailed",
            Self::Reset => "UpdateReset",
            Self::Acknowledged => "FailureAcknowledged",
            Self::Conflict => "Conflict",
            Self::Halted => "Halted",
            Self::Resumed => "Resumed",
            Self::WindowOpened => "WindowOpened",
            Self::WindowClosed => "WindowClosed",
            Self::Promoted => "Promoted",
        }
    }

    /// Whether somebody may have to do something.
    #[must_use]
    pub const fn is_warning(self) -> bool {
        matches!(self, Self::Failed | Self::Reset | Self::Conflict | Self::Halted)
    }
}

/// The Event of an action that was executed, if there is one.
#[must_use]
pub fn of_action(snapshot: &Snapshot, action: &Action) -> Option<NewEvent> {
    let node = snapshot.nodes.get(&action.node)?;
    let observed = snapshot.shadows.get(&action.node)?.readable()?.observed.as_ref();
    let version = action.desired.version.as_ref().or(action.before.version.as_ref()).map(ToString::to_string);
    let version = version.unwrap_or_default();
    let policy = action.desired.policy.as_deref().unwrap_or_default();
    let is_acknowledged = node.failure_acknowledged.is_some() && node.failure_acknowledged == action.before.version;
    let (reason, note) = match action.verb {
        Verb::Start => (EventReason::Started, format!("update to {version} begins under policy {policy}")),
        Verb::Approve => (
            EventReason::Approved,
            format!("the node may be drained and rebooted into {version} under policy {policy}"),
        ),
        Verb::Finish => {
            let runs = observed.map_or_else(String::new, |observed| observed.current_version.to_string());
            (EventReason::Done, format!("the node is restored and runs {runs}"))
        }
        Verb::Abort if node.hold.is_some() && observed.is_some_and(is_on_its_way) => {
            let hold = node.hold.as_deref().unwrap_or_default();
            (EventReason::Failed, format!("update to {version} is aborted: held by annotation: {hold}"))
        }
        Verb::Abort if observed.is_some_and(has_not_erred) && is_acknowledged => {
            (EventReason::Acknowledged, format!("the failure on {version} is acknowledged: the node is restored"))
        }
        Verb::Abort => match observed.filter(|observed| observed.state == State::ErrorReset) {
            Some(observed) => (EventReason::Failed, format!("update to {version}: {}", failure(observed))),
            None => {
                let reports = observed.map_or("no state at all", |observed| observed.state.as_str());
                let asked = action.before.state.as_str();
                (EventReason::Reset, format!("the agent was asked for {asked} and reports {reports}: back to Idle"))
            }
        },
        _ => return None,
    };
    Some(event(regarding("v1", "Node", &node.name, &node.uid), reason, note))
}

fn event(regarding: ObjectReference, reason: EventReason, note: String) -> NewEvent {
    NewEvent {
        regarding,
        action: "Updating",
        reason: reason.as_str(),
        note,
        is_warning: reason.is_warning(),
        reporter: CONTROLLER_FIELD_MANAGER,
    }
}

/// Whether the agent has not rebooted the node yet, as far as it has said.
const fn is_on_its_way(observed: &Observed) -> bool {
    matches!(observed.state, State::Idle | State::StagedAndPerformedUpdate)
}

/// Whether the agent reports a state that an update goes through.
const fn has_not_erred(observed: &Observed) -> bool {
    !matches!(observed.state, State::ErrorReset)
}

fn failure(observed: &Observed) -> String {
    let failure = observed.failure.as_ref();
    let what = failure.map_or_else(|| "the agent reports an error".to_owned(), |f| format!("{:?} failed", f.kind));
    let says = observed.message.as_ref().map(|message| format!(": {message}"));
    what + &says.unwrap_or_default()
}

/// The Events of a policy's new status: what it says that the one before did not.
#[must_use]
pub fn of_status(policy: &PolicyFacts, after: &UpdatePolicyStatus) -> Vec<NewEvent> {
    let before = policy.status.as_ref();
    let regarding = regarding(&format!("{GROUP}/v1alpha1"), "UpdatePolicy", &policy.name, &policy.uid);
    let conflict = condition(before, after, PolicyCondition::Conflict).filter(|(holds, _)| *holds);
    let conflict = conflict.map(|(_, message)| (EventReason::Conflict, message));
    let halted = condition(before, after, PolicyCondition::Halted);
    let halted =
        halted.map(|(holds, message)| (if holds { EventReason::Halted } else { EventReason::Resumed }, message));
    let changes = conflict.into_iter().chain(halted).chain(window(before, after)).chain(promoted(before, after));
    changes.map(|(reason, note)| event(regarding.clone(), reason, note)).collect()
}

/// Whether a condition has turned, to what, and what it says now. One that was never told does not turn by not holding.
fn condition(
    before: Option<&UpdatePolicyStatus>,
    after: &UpdatePolicyStatus,
    kind: PolicyCondition,
) -> Option<(bool, String)> {
    let find = |status: &UpdatePolicyStatus| status.conditions.iter().find(|c| c.type_ == kind.as_str()).cloned();
    let held = before.and_then(find).is_some_and(|condition| condition.status == "True");
    let now = find(after)?;
    let holds = now.status == "True";
    (held != holds).then_some((holds, now.message))
}

fn window(before: Option<&UpdatePolicyStatus>, after: &UpdatePolicyStatus) -> Option<(EventReason, String)> {
    let was_open = before?.window.as_ref()?.open;
    let now = after.window.as_ref().filter(|now| now.open != was_open)?;
    let until = |at: &Option<String>, none: &str| at.clone().unwrap_or_else(|| none.to_owned());
    Some(if now.open {
        (EventReason::WindowOpened, format!("disruptions may begin until {}", until(&now.closes_at, "further notice")))
    } else {
        (
            EventReason::WindowClosed,
            format!("no disruption begins until {}", until(&now.next_opens_at, "further notice")),
        )
    })
}

fn promoted(before: Option<&UpdatePolicyStatus>, after: &UpdatePolicyStatus) -> Vec<(EventReason, String)> {
    let known = before.map(|before| before.versions.as_slice()).unwrap_or_default();
    let was = |version: &str| known.iter().any(|seen| seen.version == version && seen.promoted_at.is_some());
    let new = after.versions.iter().filter(|seen| seen.promoted_at.is_some() && !was(&seen.version));
    new.map(|seen| (EventReason::Promoted, format!("version {} may be taken from now on", seen.version))).collect()
}

#[cfg(test)]
mod tests {
    use api::condition::Statement;
    use jiff::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// The Event of an abort on a node in its disruption whose agent reports `status`.
    fn aborted(status: &serde_json::Value, annotations: &serde_json::Value) -> (&'static str, String) {
        use serde_json::json;
        let node = serde_json::from_value(json!({"metadata": {"name": "a", "uid": "n", "annotations": annotations}}));
        let node: crate::snapshot::WatchedNode = node.unwrap();
        let shadow = json!({
            "metadata": {
                "name": "brs-a", "uid": "u", "resourceVersion": "1",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "n"}],
            },
            "spec": {"state": "RebootedIntoUpdate", "version": "1.51.0"},
            "status": status,
        });
        let shadow: crate::snapshot::WatchedShadow = serde_json::from_value(shadow).unwrap();
        let objects = crate::snapshot::Objects {
            nodes: vec![&node],
            shadows: vec![&shadow],
            ..crate::snapshot::Objects::default()
        };
        let snapshot = Snapshot::build(at(0), &objects);
        let before = snapshot.shadows["a"].readable().unwrap();
        let action = Action::new(Verb::Abort, before, api::shadow::Desired::default());
        let event = of_action(&snapshot, &action).unwrap();
        (event.reason, event.note)
    }

    #[test]
    fn an_abort_is_told_as_what_it_is() {
        use serde_json::json;
        let status = |state: &str| json!({"current_state": state, "current_version": "1.50.0", "target_version": "1.51.0", "crash_count": 0});
        let mut failed = status("ErrorReset");
        failed["failure"] = json!({"kind": "Activate", "version": "1.51.0", "time": "2026-11-22T02:00:00Z"});
        failed["message"] = json!("no space left");
        let (none, held) = (json!({}), json!({api::names::HOLD_ANNOTATION: "disk"}));
        let told = |status: &serde_json::Value, annotations| aborted(status, annotations);
        assert_eq!(
            told(&failed, &none),
            ("UpdateFailed", "update to 1.51.0: Activate failed: no space left".to_owned())
        );
        let aborted_by_hold = "update to 1.51.0 is aborted: held by annotation: disk".to_owned();
        assert_eq!(told(&status("StagedAndPerformedUpdate"), &held), ("UpdateFailed", aborted_by_hold));
        let odd = "the agent was asked for RebootedIntoUpdate and reports MonitoringUpdate: back to Idle".to_owned();
        assert_eq!(told(&status("MonitoringUpdate"), &none), ("UpdateReset", odd.clone()));
        assert_eq!(told(&status("MonitoringUpdate"), &held), ("UpdateReset", odd), "the hold is not why");
        let acknowledged = json!({api::names::FAILURE_ACKNOWLEDGED_ANNOTATION: "1.51.0"});
        let restored = "the failure on 1.51.0 is acknowledged: the node is restored".to_owned();
        assert_eq!(told(&status("RebootedIntoUpdate"), &acknowledged), ("FailureAcknowledged", restored));
        let silent = "the agent was asked for RebootedIntoUpdate and reports no state at all: back to Idle".to_owned();
        assert_eq!(told(&serde_json::Value::Null, &none), ("UpdateReset", silent));
    }

    fn policy(status: Option<&UpdatePolicyStatus>) -> PolicyFacts {
        let raw: api::UpdatePolicy = serde_json::from_value(serde_json::json!({
            "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
            "metadata": {"name": "default", "uid": "u"}, "spec": {"nodeSelector": {}}, "status": status,
        }))
        .unwrap();
        let stored = kube::core::DeserializeGuard(Ok(raw));
        let objects = crate::snapshot::Objects { policies: vec![&stored], ..crate::snapshot::Objects::default() };
        Snapshot::build(at(0), &objects).policies.remove("default").unwrap()
    }

    fn says(kind: PolicyCondition, holds: bool) -> UpdatePolicyStatus {
        let said = Statement { kind: kind.as_str(), holds: Some(holds), reason: "Reason", message: "why".to_owned() };
        UpdatePolicyStatus { conditions: api::condition::merge(&[], &[said], None, at(0)), ..Default::default() }
    }

    fn told(before: Option<&UpdatePolicyStatus>, now: &UpdatePolicyStatus) -> Vec<&'static str> {
        of_status(&policy(before), now).into_iter().map(|event| event.reason).collect()
    }

    #[test]
    fn a_conflict_is_told_when_it_begins_and_not_while_it_lasts() {
        let conflict = |holds| says(PolicyCondition::Conflict, holds);
        assert_eq!(told(None, &conflict(true)), ["Conflict"]);
        assert_eq!(told(Some(&conflict(false)), &conflict(true)), ["Conflict"]);
        assert_eq!(told(Some(&conflict(true)), &conflict(true)), [""; 0]);
        assert_eq!(told(Some(&conflict(true)), &conflict(false)), [""; 0]);
    }

    #[test]
    fn a_halt_is_told_when_it_begins_and_when_it_ends() {
        let halted = |holds| says(PolicyCondition::Halted, holds);
        assert_eq!(told(None, &halted(false)), [""; 0]);
        assert_eq!(told(None, &halted(true)), ["Halted"]);
        assert_eq!(told(Some(&halted(true)), &halted(true)), [""; 0]);
        assert_eq!(told(Some(&halted(true)), &halted(false)), ["Resumed"]);
    }

    #[test]
    fn a_window_is_told_when_it_turns_and_a_version_when_it_is_promoted() {
        let status = |open: bool, promoted: bool| -> UpdatePolicyStatus {
            let promoted = promoted.then_some("2026-11-22T02:00:00Z");
            serde_json::from_value(serde_json::json!({
                "window": {"open": open}, "versions": [{"version": "1.20.0", "promotedAt": promoted}],
            }))
            .unwrap()
        };
        assert_eq!(told(None, &status(true, false)), [""; 0]);
        assert_eq!(told(Some(&status(false, false)), &status(true, true)), ["WindowOpened", "Promoted"]);
        assert_eq!(told(Some(&status(true, true)), &status(false, true)), ["WindowClosed"]);
        assert_eq!(told(Some(&status(true, true)), &status(true, true)), [""; 0]);
    }
}
