//! What administrators are told as Kubernetes Events: only what has just become so, and no more than they can read.
//!
//! What holds a drain up is told by the apiserver, which sees it.

use api::{State, UpdatePolicyStatus, policy::PolicyCondition, shadow::Observed};
use jiff::Timestamp;

use crate::{
    action::{Action, Verb},
    snapshot::{PolicyFacts, Snapshot},
};

/// Events that may be written at once.
const BURST: u32 = 50;
/// Seconds until one more may be.
const SECONDS_EACH: i64 = 1;

/// What an Event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The update of a node has begun.
    Started,
    /// A node may be disrupted.
    Go,
    /// A node is updated and given back.
    Done,
    /// An update has failed.
    Failed,
    /// An agent reports what does not follow from what it was asked for, and its node begins anew.
    Reset,
    /// Somebody has acknowledged a failure, and the node that was kept out for it is given back.
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

impl Subject {
    /// The Event's reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Started => "UpdateStarted",
            Self::Go => "DisruptionAllowed",
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

/// The object that an Event regards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regarding {
    /// `v1` or the policy's own.
    pub api_version: String,
    /// `Node` or `UpdatePolicy`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// One thing that has just become so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The object.
    pub regarding: Regarding,
    /// What it is about.
    pub subject: Subject,
    /// The sentence for people.
    pub note: String,
}

/// What an action that was executed says to people, if anything.
#[must_use]
pub fn of_action(snapshot: &Snapshot, action: &Action) -> Option<News> {
    let node = snapshot.nodes.get(&action.node)?;
    let observed = snapshot.shadows.get(&action.node)?.readable()?.observed.as_ref();
    let version = action.desired.version.as_ref().or(action.before.version.as_ref()).map(ToString::to_string);
    let version = version.unwrap_or_default();
    let policy = action.desired.policy.as_deref().unwrap_or_default();
    let is_acknowledged = node.failure_acknowledged.is_some() && node.failure_acknowledged == action.before.version;
    let (subject, note) = match action.verb {
        Verb::Start => (Subject::Started, format!("update to {version} begins under policy {policy}")),
        Verb::Approve => {
            (Subject::Go, format!("the node may be drained and rebooted into {version} under policy {policy}"))
        }
        Verb::Finish => {
            let runs = observed.map_or_else(String::new, |observed| observed.current_version.to_string());
            (Subject::Done, format!("the node is given back and runs {runs}"))
        }
        Verb::Abort if node.hold.is_some() && observed.is_some_and(is_on_its_way) => {
            let reason = node.hold.as_deref().unwrap_or_default();
            (Subject::Failed, format!("update to {version} is broken off: held by annotation: {reason}"))
        }
        Verb::Abort if observed.is_some_and(has_not_erred) && is_acknowledged => {
            (Subject::Acknowledged, format!("the failure on {version} is acknowledged: the node is given back"))
        }
        Verb::Abort => match observed.filter(|observed| observed.state == State::ErrorReset) {
            Some(observed) => (Subject::Failed, format!("update to {version}: {}", failure(observed))),
            None => {
                let reports = observed.map_or("no state at all", |observed| observed.state.as_str());
                let asked = action.before.state.as_str();
                (Subject::Reset, format!("the agent was asked for {asked} and reports {reports}: back to Idle"))
            }
        },
        _ => return None,
    };
    let regarding =
        Regarding { api_version: "v1".to_owned(), kind: "Node", name: node.name.clone(), uid: node.uid.clone() };
    Some(News { regarding, subject, note })
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

/// What a policy's new status says to people that the one before did not.
#[must_use]
pub fn of_status(policy: &PolicyFacts, after: &UpdatePolicyStatus) -> Vec<News> {
    let before = policy.status.as_ref();
    let regarding = Regarding {
        api_version: format!("{}/v1alpha1", api::names::GROUP),
        kind: "UpdatePolicy",
        name: policy.name.clone(),
        uid: policy.uid.clone(),
    };
    let conflict = condition(before, after, PolicyCondition::Conflict).filter(|(holds, _)| *holds);
    let conflict = conflict.map(|(_, message)| (Subject::Conflict, message));
    let halted = condition(before, after, PolicyCondition::Halted);
    let halted = halted.map(|(holds, message)| (if holds { Subject::Halted } else { Subject::Resumed }, message));
    let told = conflict.into_iter().chain(halted).chain(window(before, after)).chain(promoted(before, after));
    told.map(|(subject, note)| News { regarding: regarding.clone(), subject, note }).collect()
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

fn window(before: Option<&UpdatePolicyStatus>, after: &UpdatePolicyStatus) -> Option<(Subject, String)> {
    let was_open = before?.window.as_ref()?.open;
    let now = after.window.as_ref().filter(|now| now.open != was_open)?;
    let until = |at: &Option<String>, none: &str| at.clone().unwrap_or_else(|| none.to_owned());
    Some(if now.open {
        (Subject::WindowOpened, format!("disruptions may begin until {}", until(&now.closes_at, "further notice")))
    } else {
        (Subject::WindowClosed, format!("no disruption begins until {}", until(&now.next_opens_at, "further notice")))
    })
}

fn promoted(before: Option<&UpdatePolicyStatus>, after: &UpdatePolicyStatus) -> Vec<(Subject, String)> {
    let known = before.map(|before| before.versions.as_slice()).unwrap_or_default();
    let was = |version: &str| known.iter().any(|seen| seen.version == version && seen.promoted_at.is_some());
    let new = after.versions.iter().filter(|seen| seen.promoted_at.is_some() && !was(&seen.version));
    new.map(|seen| (Subject::Promoted, format!("version {} may be taken from now on", seen.version))).collect()
}

/// How many Events may be written now.
#[derive(Debug)]
pub struct Allowance {
    left: u32,
    since: Timestamp,
}

impl Allowance {
    /// A full one.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { left: BURST, since: now }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let earned = now.duration_since(self.since).as_secs().max(0) / SECONDS_EACH;
        if earned > 0 || now < self.since {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            self.since = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::condition::Statement;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_thousand_starts_at_once_are_fifty_events_and_one_more_each_second() {
        let mut allowance = Allowance::new(at(100));
        assert_eq!((0..1000).filter(|_| allowance.take(at(100))).count(), 50);
        assert!(allowance.take(at(101)));
        assert!(!allowance.take(at(101)));
        assert_eq!((0..1000).filter(|_| allowance.take(at(10_000))).count(), 50);
    }

    #[test]
    fn a_clock_that_goes_back_neither_gives_nor_takes_for_ever() {
        let mut allowance = Allowance::new(at(1000));
        while allowance.take(at(1000)) {}
        assert!(!allowance.take(at(10)));
        assert!(allowance.take(at(11)));
    }

    /// What is told of the reset of a node in its disruption whose agent reports `status`.
    fn reset(status: &serde_json::Value, annotations: &serde_json::Value) -> (&'static str, String) {
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
        let news = of_action(&snapshot, &action).unwrap();
        (news.subject.reason(), news.note)
    }

    #[test]
    fn a_reset_is_told_as_what_it_is() {
        use serde_json::json;
        let status = |state: &str| json!({"current_state": state, "current_version": "1.50.0", "target_version": "1.51.0", "crash_count": 0});
        let mut failed = status("ErrorReset");
        failed["failure"] = json!({"kind": "Activate", "version": "1.51.0", "time": "2026-11-22T02:00:00Z"});
        failed["message"] = json!("no space left");
        let (none, held) = (json!({}), json!({api::names::HOLD_ANNOTATION: "disk"}));
        let told = |status: &serde_json::Value, annotations| reset(status, annotations);
        assert_eq!(
            told(&failed, &none),
            ("UpdateFailed", "update to 1.51.0: Activate failed: no space left".to_owned())
        );
        let broken_off = "update to 1.51.0 is broken off: held by annotation: disk".to_owned();
        assert_eq!(told(&status("StagedAndPerformedUpdate"), &held), ("UpdateFailed", broken_off));
        let odd = "the agent was asked for RebootedIntoUpdate and reports MonitoringUpdate: back to Idle".to_owned();
        assert_eq!(told(&status("MonitoringUpdate"), &none), ("UpdateReset", odd.clone()));
        assert_eq!(told(&status("MonitoringUpdate"), &held), ("UpdateReset", odd), "the hold is not why");
        let acknowledged = json!({api::names::FAILURE_ACKNOWLEDGED_ANNOTATION: "1.51.0"});
        let given_back = "the failure on 1.51.0 is acknowledged: the node is given back".to_owned();
        assert_eq!(told(&status("RebootedIntoUpdate"), &acknowledged), ("FailureAcknowledged", given_back));
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

    fn told(before: Option<&UpdatePolicyStatus>, now: &UpdatePolicyStatus) -> Vec<Subject> {
        of_status(&policy(before), now).into_iter().map(|news| news.subject).collect()
    }

    #[test]
    fn a_conflict_is_told_when_it_begins_and_not_while_it_lasts() {
        let conflict = |holds| says(PolicyCondition::Conflict, holds);
        assert_eq!(told(None, &conflict(true)), [Subject::Conflict]);
        assert_eq!(told(Some(&conflict(false)), &conflict(true)), [Subject::Conflict]);
        assert_eq!(told(Some(&conflict(true)), &conflict(true)), []);
        assert_eq!(told(Some(&conflict(true)), &conflict(false)), []);
    }

    #[test]
    fn a_halt_is_told_when_it_begins_and_when_it_ends() {
        let halted = |holds| says(PolicyCondition::Halted, holds);
        assert_eq!(told(None, &halted(false)), []);
        assert_eq!(told(None, &halted(true)), [Subject::Halted]);
        assert_eq!(told(Some(&halted(true)), &halted(true)), []);
        assert_eq!(told(Some(&halted(true)), &halted(false)), [Subject::Resumed]);
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
        assert_eq!(told(None, &status(true, false)), []);
        assert_eq!(told(Some(&status(false, false)), &status(true, true)), [Subject::WindowOpened, Subject::Promoted]);
        assert_eq!(told(Some(&status(true, true)), &status(false, true)), [Subject::WindowClosed]);
        assert_eq!(told(Some(&status(true, true)), &status(true, true)), []);
    }
}
