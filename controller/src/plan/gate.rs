//! The health gate: what must be so before a node that came up in its new version is restored.

use api::Shadow;
use api::health::{DEFAULT_TIMEOUT, HealthGate, NodeCheck};
use api::shadow::Observed;
use jiff::{SignedDuration, Timestamp};

use super::booted::Booted;
use crate::snapshot::{NodeFacts, PolicyFacts, Snapshot, Step};

/// Most characters of a Node's answer that are shown.
const SHOWN: usize = 200;

/// Why a node does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closed {
    /// One sentence.
    pub(super) why: String,
    /// When time alone opens the gate.
    pub(super) until: Option<Timestamp>,
}

/// Whether the node passes: it runs the version it was to boot, its kubelet has reported under the new boot id, it is and has
/// been Ready for long enough, and every check passes.
pub(super) fn gate(
    node: &NodeFacts,
    shadow: Option<(&Shadow, &Observed)>,
    booted: Option<Booted>,
    rule: Option<(&PolicyFacts, &HealthGate)>,
    snapshot: &Snapshot,
) -> Result<(), Closed> {
    let closed = |why: &str| Err(Closed { why: why.to_owned(), until: None });
    let Some((shadow, observed)) = shadow else { return closed("the agent has not reported") };
    if let Some(version) = shadow.desired.version.as_ref().filter(|version| **version != observed.current_version) {
        return closed(&format!("the node does not run {version}"));
    }
    let Some(booted) = booted.filter(|booted| booted.up) else {
        return closed("the kubelet has not reported the new boot");
    };
    if !node.ready {
        return closed("the node is not Ready");
    }
    if let Some(at) = ready_long_enough(node, booted, rule, snapshot.now).filter(|at| *at > snapshot.now) {
        return Err(Closed { why: format!("the node must stay Ready until {at}"), until: Some(at) });
    }
    let object = snapshot.gated.get(&node.name).map_or(&serde_json::Value::Null, AsRef::as_ref);
    let failing = rule.and_then(|(policy, rule)| {
        rule.checks.iter().find_map(|check| {
            let place = policy.place(Step::Check(check.name.clone()));
            snapshot.progress.at(place, || (!check.passes(object)).then(|| answer(check, object)))
        })
    });
    failing.map_or(Ok(()), |why| Err(Closed { why, until: None }))
}

/// When a node that has not come up, or is not healthy, has failed.
pub(super) fn deadline(booted: Booted, rule: Option<(&PolicyFacts, &HealthGate)>) -> Option<Timestamp> {
    let timeout = rule.map_or(DEFAULT_TIMEOUT, |(_, rule)| rule.timeout);
    booted.since.checked_add(timeout).ok()
}

/// When the node will have been Ready for as long as the policy asks. The Ready time is not used if it is older than
/// the new boot (a fast reboot), is missing, or lies in the future. The time counts from when the new boot was first
/// observed then: a wrong clock must not keep the gate closed until the node fails.
fn ready_long_enough(
    node: &NodeFacts,
    booted: Booted,
    rule: Option<(&PolicyFacts, &HealthGate)>,
    now: Timestamp,
) -> Option<Timestamp> {
    let least = rule.map(|(_, rule)| rule.min_ready).filter(|least| *least > SignedDuration::ZERO)?;
    let ready = node.ready_since.filter(|since| *since <= now);
    ready.map_or(booted.since, |ready| ready.max(booted.since)).checked_add(least).ok()
}

fn answer(check: &NodeCheck, node: &serde_json::Value) -> String {
    let answers: String = check.path.answers(node).join(", ").chars().take(SHOWN).collect();
    let answers = if answers.is_empty() { "nothing".to_owned() } else { answers };
    format!("check {}: the Node says {answers}, expected is {}", check.name, check.expect.join(" or "))
}
