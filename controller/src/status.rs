//! What a policy's status says, from the snapshot and the plan alone.

use std::collections::BTreeMap;

use api::condition::{Statement, merge};
use api::policy::{
    AcceptedReason, MAX_LISTED_NODES, NodeCounts, NodeNext, NodeUpdating, PolicyCondition, PromotionStep,
    UpdatePolicyStatus, VersionSeen, WindowStatus,
};
use api::shadow::{Desired, MAX_MESSAGE};
use api::{HoldReason, text, timestamp};
use jiff::Timestamp;
use semver::Version;

use crate::check::Objection;
use crate::plan::{NodePlan, Plan, Release, Window};
use crate::snapshot::{NotAccepted, PolicyFacts, ShadowFacts, Snapshot};

/// The status of every policy, by name.
#[must_use]
pub fn statuses(snapshot: &Snapshot, plan: &Plan, objections: &[Objection]) -> BTreeMap<String, UpdatePolicyStatus> {
    // Once for all policies: thousands may be tied on thousands of nodes.
    let mut owned: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (node, node_plan) in &plan.nodes {
        for owner in node_plan.owners.iter() {
            owned.entry(owner).or_default().push((node, node_plan));
        }
    }
    let policies = snapshot.policies.values();
    let nodes = |policy: &PolicyFacts| owned.get(policy.name.as_str()).map(Vec::as_slice).unwrap_or_default();
    policies.map(|policy| (policy.name.clone(), status(snapshot, plan, objections, (policy, nodes(policy))))).collect()
}

/// The status of a policy that owns these nodes.
fn status(
    snapshot: &Snapshot,
    plan: &Plan,
    objections: &[Objection],
    (policy, nodes): (&PolicyFacts, &[(&String, &NodePlan)]),
) -> UpdatePolicyStatus {
    let counts = count(nodes);
    let statements = [
        accepted(policy),
        progressing(policy, &counts, nodes),
        up_to_date(&counts),
        conflict(nodes),
        degraded(snapshot, policy, nodes, objections),
        halted(plan.halted.get(&policy.name)),
    ];
    let before = policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let promoted_under = match &policy.accepted {
        Ok(accepted) => accepted.versions.after.iter().map(PromotionStep::from).collect(),
        Err(_) => policy.status.as_ref().map(|status| status.promoted_under.clone()).unwrap_or_default(),
    };
    let next = plan.next.get(&policy.name).into_iter().flatten().take(MAX_LISTED_NODES);
    UpdatePolicyStatus {
        observed_generation: policy.generation,
        conditions: merge(before, &statements, policy.generation, snapshot.now),
        nodes: Some(counts),
        window: plan.windows.get(&policy.name).map(window),
        updating: updating(snapshot, plan, policy),
        next: next.map(|(node, version)| NodeNext { node: node.clone(), version: version.to_string() }).collect(),
        versions: plan
            .releases
            .get(&policy.name)
            .into_iter()
            .flatten()
            .rev()
            .map(|(version, release)| version_seen(version, release))
            .collect(),
        promoted_under,
    }
}

fn window(window: &Window) -> WindowStatus {
    WindowStatus {
        open: window.open,
        closes_at: window.closes_at.map(timestamp::render),
        next_opens_at: window.next_opens_at.map(timestamp::render),
    }
}

/// What a status says of a version.
#[must_use]
pub fn version_seen(version: &Version, release: &Release) -> VersionSeen {
    let (run_by, since) = release.run.clone().unzip();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    VersionSeen {
        version: version.to_string(),
        first_seen: Some(timestamp::render(release.first_seen)),
        eligible_at: release.eligible_at.map(timestamp::render),
        promoted_at: release.promoted_at.map(timestamp::render),
        run_by,
        run_since: since.map(timestamp::render),
        nodes: number(release.nodes),
        failed: number(release.failed),
    }
}

fn count(nodes: &[(&String, &NodePlan)]) -> NodeCounts {
    let mut counts = NodeCounts::default();
    for (_, node_plan) in nodes {
        counts.matched += 1;
        let counted = match &node_plan.hold {
            _ if node_plan.in_flight => &mut counts.updating,
            _ if node_plan.failed.is_some() => &mut counts.failed,
            _ if node_plan.up_to_date => &mut counts.updated,
            Some(hold) if waits_for_its_turn(hold.reason) => &mut counts.waiting,
            Some(_) => &mut counts.held,
            None => &mut counts.waiting,
        };
        *counted += 1;
    }
    counts
}

/// Whether a node held for `reason` will move without anybody's help.
const fn waits_for_its_turn(reason: HoldReason) -> bool {
    matches!(
        reason,
        HoldReason::BudgetFull
            | HoldReason::TooManyUnavailable
            | HoldReason::TopologyBusy
            | HoldReason::BackOff
            | HoldReason::OutsideWindow
            | HoldReason::OriginalOutsideWindow
            | HoldReason::VersionHeld
    )
}

fn state(kind: PolicyCondition, holds: bool, reason: &'static str, message: impl Into<String>) -> Statement {
    Statement { kind: kind.as_str(), holds: Some(holds), reason, message: message.into() }
}

fn accepted(policy: &PolicyFacts) -> Statement {
    match &policy.accepted {
        Ok(_) => state(PolicyCondition::Accepted, true, AcceptedReason::Accepted.as_str(), "the policy is followed"),
        Err(why) => not_accepted(why),
    }
}

fn not_accepted(why: &NotAccepted) -> Statement {
    state(PolicyCondition::Accepted, false, why.reason().as_str(), format!("{why}; its nodes are held"))
}

/// `status` with the verdict that planning did not come to an end over `generation` of the policy, and otherwise as it is: what it
/// remembers of versions is not for a controller to forget that makes no plan any more.
#[must_use]
pub fn exceeded_deadline(mut status: UpdatePolicyStatus, generation: i64, now: Timestamp) -> UpdatePolicyStatus {
    let accepted = not_accepted(&NotAccepted::PlanningDeadlineExceeded);
    let verdict = merge(&status.conditions, &[accepted], Some(generation), now);
    status.conditions.retain(|condition| condition.type_ != PolicyCondition::Accepted.as_str());
    status.conditions.splice(..0, verdict);
    status.observed_generation = Some(generation);
    status
}

/// Whether a node held for `reason` has got, or would get, its place, and goes no further before somebody edits a policy or looks at
/// what went wrong elsewhere.
const fn needs_somebody(reason: HoldReason) -> bool {
    matches!(reason, HoldReason::NeverOpens | HoldReason::PromotionBlocked)
}

/// Of nodes that wait for somebody one is named: what is true of it is most likely true of the others.
fn progressing(policy: &PolicyFacts, counts: &NodeCounts, nodes: &[(&String, &NodePlan)]) -> Statement {
    let paused = policy.accepted.as_ref().is_ok_and(|accepted| accepted.paused);
    let held = nodes.iter().filter_map(|(node, node_plan)| Some((node, node_plan, node_plan.hold.as_ref()?)));
    let blocked: Vec<_> = held.filter(|(_, _, hold)| needs_somebody(hold.reason)).collect();
    let stuck = blocked.iter().filter(|(_, node_plan, _)| node_plan.in_flight).count();
    let moves = usize::try_from(counts.updating).is_ok_and(|updating| updating > stuck);
    let mut message = format!("{} of {} nodes updated", counts.updated, counts.matched);
    if let Some((node, _, hold)) = blocked.first() {
        message = format!("{message}; node {node} waits for somebody: {}", hold.message);
    }
    let (holds, reason) = match counts {
        _ if moves => (true, "Updating"),
        _ if paused => (false, "Paused"),
        NodeCounts { waiting: 1.., .. } => (true, "Waiting"),
        _ if !blocked.is_empty() => (false, "Blocked"),
        NodeCounts { held: 1.., .. } => (false, "Held"),
        NodeCounts { failed: 1.., .. } => (false, "Failed"),
        NodeCounts { matched: 0, .. } => (false, "NoNodes"),
        _ => (false, "Complete"),
    };
    state(PolicyCondition::Progressing, holds, reason, message)
}

/// A policy that selects nothing is not up to date: whoever waits for it has most likely mistyped the selector.
fn up_to_date(counts: &NodeCounts) -> Statement {
    let message = format!("{} of {} nodes run the version they should", counts.updated, counts.matched);
    match counts.matched {
        0 => state(PolicyCondition::UpToDate, false, "NoNodes", "the policy applies to no node"),
        all if all == counts.updated => state(PolicyCondition::UpToDate, true, "Complete", message),
        _ => state(PolicyCondition::UpToDate, false, "Outdated", message),
    }
}

fn conflict(nodes: &[(&String, &NodePlan)]) -> Statement {
    match nodes.iter().find(|(_, node_plan)| node_plan.owners.len() > 1) {
        None => state(PolicyCondition::Conflict, false, "NoConflict", "no other policy claims its nodes"),
        Some((node, node_plan)) => {
            let owners: Vec<_> = node_plan.owners.iter().map(String::as_str).collect();
            let message = format!("node {node} is claimed with the same priority by {}", text::names(&owners));
            state(PolicyCondition::Conflict, true, "SamePriority", message)
        }
    }
}

/// A shadow that cannot be read takes a place of every policy that it may name, also of those that its node is not of.
fn degraded(
    snapshot: &Snapshot,
    policy: &PolicyFacts,
    nodes: &[(&String, &NodePlan)],
    objections: &[Objection],
) -> Statement {
    let kind = PolicyCondition::Degraded;
    let objection = objections.iter().find(|objection| nodes.iter().any(|(node, _)| **node == objection.node));
    if let Some(Objection { node, verb, broken }) = objection {
        return state(kind, true, "PlanRefused", format!("to {} node {node} was refused: {broken}", verb.as_str()));
    }
    let unreadable = |node_plan: &NodePlan| {
        node_plan.hold.as_ref().filter(|hold| hold.reason == HoldReason::Unreadable).map(|hold| hold.message.clone())
    };
    let elsewhere = || {
        let counts = |shadow: &ShadowFacts| shadow.began_under(&snapshot.policies).any(|(name, _)| name == policy.name);
        snapshot.shadows.values().find_map(|shadow| match shadow.as_ref() {
            ShadowFacts::Unreadable { reason, .. } if counts(shadow) => Some(reason.clone()),
            _ => None,
        })
    };
    match nodes.iter().find_map(|(_, node_plan)| unreadable(node_plan)).or_else(elsewhere) {
        Some(message) => state(kind, true, "Unreadable", message),
        None => state(kind, false, "AsExpected", "nothing is wrong"),
    }
}

fn halted(sentence: Option<&String>) -> Statement {
    match sentence {
        Some(sentence) => state(PolicyCondition::Halted, true, "TooManyFailed", sentence.clone()),
        None => state(PolicyCondition::Halted, false, "NotHalted", "no version has failed on too many nodes"),
    }
}

/// The nodes in flight that count for the policy, by name.
fn updating(snapshot: &Snapshot, plan: &Plan, policy: &PolicyFacts) -> Vec<NodeUpdating> {
    let in_flight = plan.nodes.iter().filter(|(_, node_plan)| node_plan.in_flight);
    let mut listed = Vec::new();
    for (node, node_plan) in in_flight {
        let shadow = snapshot.shadows.get(node).and_then(|shadow| shadow.readable());
        let began_here = shadow.is_some_and(|shadow| shadow.desired.policy.as_deref() == Some(&policy.name));
        if began_here || node_plan.owners.contains(&policy.name) {
            let observed = shadow.and_then(|shadow| shadow.observed.as_ref());
            let desired = shadow.map(|shadow| &shadow.desired);
            listed.push(NodeUpdating {
                node: node.clone(),
                activity: activity(desired, observed.and_then(|observed| observed.activity)),
                since: desired.and_then(|desired| desired.since).map(timestamp::render),
                message: observed
                    .and_then(|observed| observed.message.as_deref())
                    .map(|said| text::line(said, MAX_MESSAGE)),
            });
        }
    }
    listed.truncate(MAX_LISTED_NODES);
    listed
}

fn activity(desired: Option<&Desired>, activity: Option<api::shadow::Activity>) -> String {
    match (activity, desired) {
        (Some(activity), _) => format!("{activity:?}"),
        (None, Some(desired)) => desired.state.as_str().to_owned(),
        (None, None) => "Unknown".to_owned(),
    }
}
