//! A plan as text that people read: golden files, and the log at debug level.

use std::fmt::Write as _;

use api::policy::DrainRule;

use crate::action::Action;
use crate::check::Objection;
use crate::plan::{NodePlan, Plan};

/// One line for each write, each node and each objection.
#[must_use]
pub fn render(plan: &Plan, objections: &[Objection]) -> String {
    let mut text = String::new();
    for action in &plan.actions {
        line(&mut text, &action_line(action));
    }
    for objection in objections {
        line(&mut text, &format!("refused  {}: {} ({})", objection.node, objection.verb.as_str(), objection.broken));
    }
    for (node, node_plan) in &plan.nodes {
        line(&mut text, &format!("node     {node}: {}", node_line(node_plan)));
    }
    for (policy, window) in &plan.windows {
        let state = if window.open { "open" } else { "closed" };
        let until = window.closes_at.map(|at| format!(" until {at}")).unwrap_or_default();
        let opens = window.next_opens_at.map(|at| format!(", opens {at}")).unwrap_or_default();
        if !window.open || !until.is_empty() {
            line(&mut text, &format!("window   {policy}: {state}{until}{opens}"));
        }
    }
    for (policy, sentence) in &plan.halted {
        line(&mut text, &format!("halted   {policy}: {sentence}"));
    }
    for (policy, nodes) in &plan.next {
        let nodes: Vec<_> = nodes.iter().map(|(node, version)| format!("{node} -> {version}")).collect();
        line(&mut text, &format!("next     {policy}: {}", nodes.join(", ")));
    }
    if let Some(wake_at) = plan.wake_at {
        line(&mut text, &format!("wake     {wake_at}"));
    }
    text
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}

fn action_line(action: &Action) -> String {
    let desired = &action.desired;
    let mut text = format!("{:<8} {}: {}", action.verb.as_str(), action.node, desired.state.as_str());
    if let Some(version) = &desired.version {
        let _ = write!(text, " {version}");
    }
    if let Some(policy) = &desired.policy {
        let _ = write!(text, " under {policy}");
    }
    if let Some(expiry) = desired.disrupt_not_after {
        let _ = write!(text, ", expires {expiry}");
    }
    if desired.exclusion_wait_seconds > 0 {
        let _ = write!(text, ", {} s after exclusion", desired.exclusion_wait_seconds);
    }
    if let Some((seconds, on_timeout)) = desired.drain.filter(|drain| *drain != DrainRule::default().stored()) {
        let _ = write!(text, ", drain {seconds} s then {on_timeout:?}");
    }
    text
}

fn node_line(node_plan: &NodePlan) -> String {
    let owners = if node_plan.owners.is_empty() { "nobody".to_owned() } else { node_plan.owners.join("+") };
    let progress = match (node_plan.in_flight, node_plan.up_to_date) {
        (true, _) => "in flight",
        (false, true) => "up to date",
        (false, false) => "outdated",
    };
    let hold = node_plan.hold.as_ref().map(|hold| format!("; {}: {}", hold.reason, hold.message)).unwrap_or_default();
    let failed = node_plan.failed.as_ref();
    let failed = failed.map(|failed| format!(", failed {:?} {}", failed.kind, failed.version)).unwrap_or_default();
    format!("{owners}, {progress}{failed}{hold}")
}
