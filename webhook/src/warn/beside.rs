//! What a policy means beside the others and the nodes there are.

use std::collections::BTreeSet;

use api::Policy;

use super::{nodes, some};
use crate::cluster::{Cluster, ManagedNode};

pub(super) fn warnings(name: &str, policy: &Policy, cluster: &Cluster) -> Vec<String> {
    let selected: Vec<_> = cluster.selected(&policy.selector).collect();
    let mut warnings = unknown_promotions(policy, cluster);
    if selected.is_empty() {
        warnings.push("spec.nodeSelector: selects no node that there is now".to_owned());
        return warnings;
    }
    let priority = i64::from(policy.priority);
    let rivals: Vec<Vec<_>> = selected.iter().map(|node| cluster.claims(node, name)).collect();
    // Where a higher policy owns the node, nobody is held for the sake of the others.
    let highest = rivals.iter().filter(|claims| claims.first().is_some_and(|first| first.priority == priority));
    let tied: BTreeSet<_> =
        highest.flatten().filter(|other| other.priority == priority).map(|other| other.name.as_str()).collect();
    if !tied.is_empty() {
        warnings.push(tie(priority, &tied, &selected, cluster, name));
    }
    let above: Vec<_> =
        rivals.iter().filter_map(|claims| claims.first().filter(|other| other.priority > priority)).collect();
    if above.len() == selected.len() {
        let owners: BTreeSet<_> = above.iter().map(|other| other.name.as_str()).collect();
        let owners: Vec<_> = owners.into_iter().collect();
        warnings.push(format!(
            "spec.priority: has no effect now: policies of a higher priority apply to every node it selects ({})",
            some(&owners)
        ));
    }
    warnings
}

fn tie(priority: i64, tied: &BTreeSet<&str>, selected: &[&ManagedNode], cluster: &Cluster, name: &str) -> String {
    let shared = selected.iter().filter(|node| {
        let claims = cluster.claims(node, name);
        claims.first().is_some_and(|first| first.priority == priority)
    });
    let tied: Vec<_> = tied.iter().copied().collect();
    format!(
        "spec.priority: {priority} is also that of {}: {} that both select will be held until one is changed",
        some(&tied),
        nodes(shared.count())
    )
}

fn unknown_promotions(policy: &Policy, cluster: &Cluster) -> Vec<String> {
    let known: BTreeSet<_> = cluster.policies.iter().map(|policy| policy.name.as_str()).collect();
    let after = policy.versions.after.iter().enumerate();
    after
        .filter(|(_, promotion)| !known.contains(promotion.policy.as_str()))
        .map(|(index, promotion)| {
            let name = &promotion.policy;
            format!("spec.versions.after[{index}].policy: there is no policy {name:?} now: no version is promoted until there is")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::cluster::tests::{cluster, policy};
    use crate::warn::of_policy;
    use api::{Policy, UpdatePolicy};
    use serde_json::json;

    const NODES: [(&str, &str, bool); 3] = [("a", "blue", false), ("b", "blue", false), ("c", "green", false)];

    fn selecting(name: &str, pool: &str, priority: i32) -> UpdatePolicy {
        policy(name, &json!({"priority": priority, "nodeSelector": {"matchLabels": {"pool": pool}}}))
    }

    fn warned(new: &UpdatePolicy, others: &[UpdatePolicy]) -> Vec<String> {
        of_policy(new, &Policy::try_from(&new.spec).unwrap(), Some(&cluster(&NODES, others)))
    }

    #[test]
    fn a_tie_on_nodes_that_both_select_is_warned_of() {
        let all = policy("all", &json!({"nodeSelector": {}}));
        let warning =
            "spec.priority: 0 is also that of all: 2 nodes that both select will be held until one is changed";
        assert_eq!(warned(&selecting("blue", "blue", 0), std::slice::from_ref(&all)), [warning]);
        assert!(warned(&selecting("blue", "blue", 1), std::slice::from_ref(&all)).is_empty());
        let under_a_higher_one =
            warned(&selecting("blue", "blue", 0), &[all, policy("stop", &json!({"priority": 9, "nodeSelector": {}}))]);
        assert!(under_a_higher_one.iter().all(|warning| !warning.contains("also that of")), "{under_a_higher_one:?}");
        assert!(warned(&selecting("blue", "blue", 0), &[selecting("green", "green", 0)]).is_empty());
        assert!(
            warned(&selecting("blue", "blue", 0), &[selecting("blue", "blue", 0)]).is_empty(),
            "its own earlier form"
        );
    }

    #[test]
    fn a_policy_that_higher_ones_shadow_is_warned_of() {
        let higher = [selecting("blue", "blue", 5), selecting("green", "green", 7)];
        let all = policy("all", &json!({"nodeSelector": {}}));
        let warning = "spec.priority: has no effect now: policies of a higher priority apply to every node it selects (blue, green)";
        assert_eq!(warned(&all, &higher), [warning]);
        assert!(warned(&all, &higher[..1]).is_empty());
    }

    #[test]
    fn a_selector_without_nodes_is_warned_of() {
        assert_eq!(warned(&selecting("red", "red", 0), &[]), ["spec.nodeSelector: selects no node that there is now"]);
    }

    #[test]
    fn a_promotion_from_nowhere_is_warned_of() {
        let after =
            policy("prod", &json!({"nodeSelector": {}, "versions": {"after": [{"policy": "canary", "soak": "1h"}]}}));
        let warned_of = warned(&after, &[]);
        assert!(
            warned_of[0].starts_with("spec.versions.after[0].policy: there is no policy \"canary\" now"),
            "{warned_of:?}"
        );
        assert!(warned(&after, &[selecting("canary", "blue", 9)]).is_empty());
    }
}
