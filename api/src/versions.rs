//! Which versions a policy takes, and which policies go before it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use semver::VersionReq;

/// Which versions a policy takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionRule {
    /// The range a version must lie in.
    pub constraint: Option<VersionReq>,
    /// How long ago a version must have been seen first in this cluster.
    pub minimum_age: Option<SignedDuration>,
    /// The policies whose nodes go first.
    pub after: Vec<Promotion>,
}

/// One step of a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The policy whose nodes go first.
    pub policy: String,
    /// How long one of them must have run the version, healthy.
    pub soak: SignedDuration,
}

/// Whether a policy may be called this: a DNS-1123 subdomain.
#[must_use]
pub fn is_policy_name(text: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(outer)
            && bytes.last().copied().is_some_and(outer)
            && bytes.iter().all(|byte| outer(*byte) || *byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// The names on the shortest way from `policy` back to itself, both ends included, where each waits for the next. `after`
/// says whom every policy waits for.
#[must_use]
pub fn cycle(policy: &str, after: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = std::collections::VecDeque::from([vec![policy.to_owned()]]);
    while let Some(way) = ways.pop_front() {
        for next in way.last().and_then(|last| after.get(last)).into_iter().flatten() {
            let longer = way.iter().cloned().chain([next.clone()]).collect();
            if next == policy {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        edges
            .iter()
            .map(|(from, to)| ((*from).to_owned(), to.iter().map(|name| (*name).to_owned()).collect()))
            .collect()
    }

    #[test]
    fn a_cycle_is_named_from_end_to_end() {
        let after = graph(&[("prod", &["staging", "canary"]), ("staging", &["canary"]), ("canary", &["prod"])]);
        assert_eq!(cycle("prod", &after), Some(["prod", "canary", "prod"].map(str::to_owned).to_vec()));
        assert_eq!(cycle("staging", &after).map(|way| way.len()), Some(4));
    }

    #[test]
    fn a_chain_is_no_cycle_and_one_elsewhere_is_not_ours() {
        let after =
            graph(&[("prod", &["staging"]), ("staging", &["canary"]), ("a", &["b"]), ("b", &["a"]), ("x", &["a"])]);
        assert_eq!(cycle("prod", &after), None);
        assert_eq!(cycle("x", &after), None);
        assert_eq!(cycle("nobody", &after), None);
    }

    #[test]
    fn names_are_those_of_kubernetes_objects() {
        assert!(["a", "canary-1", "pool.blue"].into_iter().all(is_policy_name));
        assert!(!["", "A", "-a", "a-", "a..b", "a_b", &"a".repeat(254)].into_iter().any(is_policy_name));
    }
}
