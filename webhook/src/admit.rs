//! Whether a policy is accepted, and what its author is warned of.
//!
//! Everything here is a function of the objects: what is asked for, what it replaces, and what the caches show of the
//! cluster, where they show something yet.

use std::collections::BTreeMap;

use api::policy::{Fault, Problem};
use api::versions::cycle;
use api::{Policy, UpdatePolicy};

use crate::cluster::Cluster;
use crate::warn;

/// What somebody wants to do with a policy.
#[derive(Debug)]
pub enum Change<'a> {
    /// Create it.
    Create(&'a UpdatePolicy),
    /// Replace it, or one whose stored form cannot be read (`None`).
    Update(Option<&'a UpdatePolicy>, &'a UpdatePolicy),
    /// Delete it.
    Delete(&'a UpdatePolicy),
}

/// What becomes of a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Why it is refused, one sentence for each fault; empty when it is accepted.
    pub refused: Vec<String>,
    /// What its author is told beside, one sentence each.
    pub warnings: Vec<String>,
}

/// Judges a change. `cluster` is `None` until the caches show the whole cluster; nothing waits for them.
#[must_use]
pub fn judge(change: &Change<'_>, cluster: Option<&Cluster>) -> Decision {
    match change {
        Change::Create(new) => accept(new, Vec::new, cluster),
        Change::Update(old, new) => accept(new, || problems_before(*old, new, cluster), cluster),
        Change::Delete(old) => Decision { refused: Vec::new(), warnings: warn::of_deletion(old, cluster) },
    }
}

/// Judges a change that nothing may stop, above all one to a paused policy: what resuming it will be refused for is a
/// warning, whether or not it was there before.
#[must_use]
pub fn advise(change: &Change<'_>, cluster: Option<&Cluster>) -> Decision {
    let Decision { refused, warnings } = match change {
        Change::Create(new) | Change::Update(_, new) => accept(new, Vec::new, cluster),
        Change::Delete(_) => judge(change, cluster),
    };
    let refused = refused.into_iter().map(|fault| format!("{fault} (paused as it is, resuming it will be refused)"));
    Decision { refused: Vec::new(), warnings: refused.chain(warnings).collect() }
}

/// `before` finds the problems that were there before and may stay. A policy without problems is not compared with the one before, which
/// is then not even read: an edit is the way out when reading that one takes for ever.
fn accept(new: &UpdatePolicy, before: impl FnOnce() -> Vec<Problem>, cluster: Option<&Cluster>) -> Decision {
    let problems = problems(new, cluster);
    let before = if problems.is_empty() { Vec::new() } else { before() };
    let (known, faults): (Vec<_>, Vec<_>) = problems.into_iter().partition(|problem| before.contains(problem));
    let mut warnings: Vec<_> =
        known.iter().map(|problem| format!("{problem} (it was so before; the policy's nodes are held)")).collect();
    // Not of what cannot be read.
    if let Ok(policy) = Policy::try_from(&new.spec) {
        warnings.extend(warn::of_policy(new, &policy, cluster));
    }
    Decision { refused: faults.iter().map(ToString::to_string).collect(), warnings }
}

/// What was wrong before and may stay, unless the policy is resumed: then everything must be right.
fn problems_before(old: Option<&UpdatePolicy>, new: &UpdatePolicy, cluster: Option<&Cluster>) -> Vec<Problem> {
    match old {
        Some(old) if new.spec.paused || !old.spec.paused => problems(old, cluster),
        _ => Vec::new(),
    }
}

/// Everything that stands in the way of following a policy.
fn problems(policy: &UpdatePolicy, cluster: Option<&Cluster>) -> Vec<Problem> {
    let read = Policy::try_from(policy);
    let mut problems = read.err().map(|invalid| invalid.problems().to_vec()).unwrap_or_default();
    problems.extend(cluster.and_then(|cluster| circle(policy, cluster)));
    problems
}

/// The policies that would wait for each other.
fn circle(policy: &UpdatePolicy, cluster: &Cluster) -> Option<Problem> {
    let name = policy.metadata.name.as_deref()?;
    let own: Vec<_> = policy.spec.versions.iter().flat_map(|versions| &versions.after).collect();
    let mut after: BTreeMap<_, _> =
        cluster.policies.iter().map(|other| (other.name.clone(), other.after.clone())).collect();
    after.insert(name.to_owned(), own.iter().map(|after| after.policy.clone()).collect());
    // The parser has named a policy that waits for itself.
    let way = cycle(name, &after).filter(|way| way.len() > 2)?;
    let index = own.iter().position(|after| way.get(1) == Some(&after.policy))?;
    Some(Problem { field: format!("spec.versions.after[{index}].policy"), fault: Fault::Cycle(way) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::tests::{cluster, policy};
    use serde_json::json;

    #[test]
    fn a_policy_that_the_controller_follows_is_accepted() {
        let good = policy("default", &json!({"nodeSelector": {}, "maxConcurrentUpdates": "10%"}));
        assert_eq!(judge(&Change::Create(&good), None), Decision::default());
    }

    #[test]
    fn a_refusal_names_the_field() {
        let bad =
            policy("default", &json!({"nodeSelector": {}, "maxConcurrentUpdates": 0, "drain": {"timeout": "30"}}));
        let Decision { refused, .. } = judge(&Change::Create(&bad), None);
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused[0].starts_with("spec.maxConcurrentUpdates: 0 is not an amount"), "{refused:?}");
        assert!(refused[1].starts_with("spec.drain.timeout: \"30\" is not a duration"), "{refused:?}");
    }

    #[test]
    fn what_was_wrong_before_is_a_warning_as_long_as_it_is_left_alone() {
        let before = policy("default", &json!({"nodeSelector": {}, "drain": {"timeout": "30"}}));
        let edited = policy("default", &json!({"nodeSelector": {}, "priority": 7, "drain": {"timeout": "30"}}));
        let worse = policy("default", &json!({"nodeSelector": {}, "drain": {"timeout": "40"}}));
        let decision = judge(&Change::Update(Some(&before), &edited), None);
        assert!(decision.refused.is_empty());
        assert!(decision.warnings[0].starts_with("spec.drain.timeout: \"30\" is not a duration"), "{decision:?}");
        assert_eq!(judge(&Change::Update(Some(&before), &worse), None).refused.len(), 1);
        assert_eq!(judge(&Change::Update(None, &edited), None).refused.len(), 1);
    }

    #[test]
    fn what_a_good_policy_replaces_is_not_read() {
        let good = policy("default", &json!({"nodeSelector": {}}));
        let unread = || panic!("it may take for ever to read");
        assert_eq!(accept(&good, unread, None), Decision::default());
    }

    #[test]
    fn resuming_is_judged_whole_and_a_pause_only_advised() {
        let paused = policy("default", &json!({"nodeSelector": {}, "paused": true, "drain": {"timeout": "30"}}));
        let resumed = policy("default", &json!({"nodeSelector": {}, "drain": {"timeout": "30"}}));
        assert_eq!(judge(&Change::Update(Some(&paused), &resumed), None).refused.len(), 1);
        for change in [Change::Create(&paused), Change::Update(Some(&resumed), &paused), Change::Update(None, &paused)]
        {
            let advice = advise(&change, None);
            assert!(advice.refused.is_empty());
            assert!(advice.warnings[0].ends_with("resuming it will be refused)"), "{advice:?}");
        }
    }

    #[test]
    fn a_cycle_is_refused_at_the_policy_that_closes_it() {
        let after = |name: &str| json!({"nodeSelector": {}, "versions": {"after": [{"policy": name, "soak": "1h"}]}});
        let cluster = cluster(&[], &[policy("canary", &after("prod")), policy("other", &after("canary"))]);
        let prod = policy("prod", &after("canary"));
        let refused = judge(&Change::Create(&prod), Some(&cluster)).refused;
        let cycle = "spec.versions.after[0].policy: closes a cycle in which no policy can go first: prod after canary after prod";
        assert!(refused.contains(&cycle.to_owned()), "{refused:?}");
        let chain = policy("last", &after("other"));
        assert!(judge(&Change::Create(&chain), Some(&cluster)).refused.is_empty());
    }
}
