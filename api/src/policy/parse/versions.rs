//! Which versions are taken.

use std::collections::BTreeSet;

use semver::VersionReq;

use crate::duration;
use crate::policy::fault::{Fault, Findings};
use crate::policy::{After, UpdatePolicy, Versions};
use crate::versions::{Promotion, VersionRule, is_policy_name};

pub(super) fn read(raw: &Versions, findings: &mut Findings) -> Option<VersionRule> {
    let constraint = raw.constraint.as_deref().map(constraint).transpose();
    let constraint = findings.take("spec.versions.constraint", constraint);
    let minimum_age = raw.minimum_age.as_deref().map(duration::parse).transpose();
    let minimum_age = findings.take("spec.versions.minimumAge", minimum_age);
    let mut seen = BTreeSet::new();
    let after: Vec<_> = raw
        .after
        .iter()
        .enumerate()
        .map(|(index, raw)| promotion(raw, index, seen.insert(&raw.policy), findings))
        .collect();
    Some(VersionRule {
        constraint: constraint?,
        minimum_age: minimum_age?,
        after: after.into_iter().collect::<Option<_>>()?,
    })
}

fn constraint(text: &str) -> Result<VersionReq, Fault> {
    VersionReq::parse(text).map_err(|error| Fault::Constraint { text: text.to_owned(), why: error.to_string() })
}

fn promotion(raw: &After, index: usize, is_first: bool, findings: &mut Findings) -> Option<Promotion> {
    let field = format!("spec.versions.after[{index}]");
    let policy = if !is_policy_name(&raw.policy) {
        Err(Fault::PolicyName(raw.policy.clone()))
    } else if is_first {
        Ok(raw.policy.clone())
    } else {
        Err(Fault::Twice(raw.policy.clone()))
    };
    let policy = findings.take(format!("{field}.policy"), policy);
    let soak = findings.take(format!("{field}.soak"), duration::parse(&raw.soak));
    Some(Promotion { policy: policy?, soak: soak? })
}

/// Notes where a policy waits for itself.
pub(super) fn note_itself(raw: &UpdatePolicy, findings: &mut Findings) {
    let own = raw.metadata.name.as_deref().unwrap_or_default();
    let after = raw.spec.versions.iter().flat_map(|versions| &versions.after);
    for (index, _) in after.enumerate().filter(|(_, after)| after.policy == own) {
        findings.add(format!("spec.versions.after[{index}].policy"), Fault::AfterItself(own.to_owned()));
    }
}
