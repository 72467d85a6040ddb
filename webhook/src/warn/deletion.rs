//! What becomes of the nodes of a policy that is deleted.

use std::collections::BTreeMap;

use api::UpdatePolicy;
use api::policy::claim::{self, Foremost};
use api::policy::parse;

use super::nodes;
use crate::cluster::{Cluster, StoredPolicy};

/// Which policy the nodes fall to, and how many of them are in flight.
#[must_use]
pub fn of_deletion(old: &UpdatePolicy, cluster: Option<&Cluster>) -> Vec<String> {
    let name = old.metadata.name.as_deref().unwrap_or_default();
    let (Some(cluster), Ok(selector)) = (cluster, parse::selector(&old.spec)) else { return Vec::new() };
    let priority = i64::from(old.spec.priority);
    let mut fallen: BTreeMap<String, usize> = BTreeMap::new();
    let (mut owned, mut in_flight) = (0, 0);
    for node in cluster.selected(&selector) {
        let claims = cluster.claims(node, name);
        if claims.first().is_some_and(|first| first.priority > priority) {
            continue;
        }
        owned += 1;
        in_flight += usize::from(node.is_in_flight(cluster.now));
        *fallen.entry(heir(&claims)).or_default() += 1;
    }
    if owned == 0 {
        return Vec::new();
    }
    let fallen: Vec<_> = fallen.into_iter().map(|(to, count)| format!("{} {to}", nodes(count))).collect();
    vec![format!(
        "policy {name} applies to {}, of which {in_flight} in flight; without it: {}",
        nodes(owned),
        fallen.join(", ")
    )]
}

fn heir(claims: &[&StoredPolicy]) -> String {
    match claim::foremost(claims, |policy| policy.priority) {
        Foremost::Nobody => "will not be updated".to_owned(),
        Foremost::One(heir) => format!("will be updated under {}", heir.name),
        Foremost::Tied(heirs) => {
            let names: Vec<_> = heirs.iter().map(|heir| heir.name.as_str()).collect();
            format!("will be held by a tie of {}", names.join(" and "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::tests::{cluster, policy};
    use serde_json::json;

    #[test]
    fn the_heirs_and_what_is_in_flight_are_named() {
        let nodes = [("a", "blue", true), ("b", "blue", false), ("c", "green", false), ("d", "red", true)];
        let pool = |name: &str, pool: &str, priority: i32| {
            policy(name, &json!({"priority": priority, "nodeSelector": {"matchLabels": {"pool": pool}}}))
        };
        let all = policy("all", &json!({"nodeSelector": {}, "priority": 5}));
        let others = [
            all.clone(),
            pool("blue", "blue", 1),
            pool("blue-too", "blue", 1),
            pool("green", "green", 0),
            pool("red", "red", 9),
        ];
        assert_eq!(
            of_deletion(&all, Some(&cluster(&nodes, &others))),
            [
                "policy all applies to 3 nodes, of which 1 in flight; without it: 2 nodes will be held by a tie of blue and blue-too, 1 node will be updated under green"
            ]
        );
        assert_eq!(
            of_deletion(&all, Some(&cluster(&nodes[2..3], &[]))),
            ["policy all applies to 1 node, of which 0 in flight; without it: 1 node will not be updated"]
        );
    }

    #[test]
    fn a_policy_without_nodes_or_before_the_caches_are_there_goes_without_a_word() {
        let red = policy("red", &json!({"nodeSelector": {"matchLabels": {"pool": "red"}}}));
        assert!(of_deletion(&red, Some(&cluster(&[("a", "blue", true)], &[]))).is_empty());
        assert!(of_deletion(&red, None).is_empty());
    }
}
