//! What counts as healthy.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::duration;
use crate::health::{DEFAULT_TIMEOUT, HealthGate, NodeCheck, NodePath};
use crate::policy::fault::{Fault, Findings};
use crate::policy::{Health, HealthCheck};

pub(super) fn read(raw: &Health, findings: &mut Findings) -> Option<HealthGate> {
    let timeout = raw.timeout.as_deref().map_or(Ok(DEFAULT_TIMEOUT), duration::parse);
    let timeout = findings.take("spec.health.timeout", timeout);
    let mut seen = BTreeSet::new();
    let checks: Vec<_> =
        raw.checks.iter().enumerate().map(|(index, raw)| check(raw, index, seen.insert(&raw.name), findings)).collect();
    Some(HealthGate {
        min_ready: SignedDuration::from_secs(raw.min_ready_seconds.unwrap_or(0)),
        timeout: timeout?,
        checks: checks.into_iter().collect::<Option<_>>()?,
    })
}

fn check(raw: &HealthCheck, index: usize, is_first: bool, findings: &mut Findings) -> Option<NodeCheck> {
    let field = format!("spec.health.checks[{index}]");
    let name = if is_first { Ok(raw.name.clone()) } else { Err(Fault::Twice(raw.name.clone())) };
    let name = findings.take(format!("{field}.name"), name);
    let path = findings.take(format!("{field}.node.jsonPath"), NodePath::parse(&raw.node.json_path));
    Some(NodeCheck { name: name?, path: path?, expect: raw.node.expect.clone() })
}
