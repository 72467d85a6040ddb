//! Which version a host is locked to, which versions a policy takes, and which policies go before it.

use std::collections::{BTreeMap, VecDeque};
use std::iter::successors;

use jiff::SignedDuration;
use semver::{Version, VersionReq};

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

/// The version that a host's `version-lock` names, with or without a leading `v`; `None` for `latest` and for what is no version.
#[must_use]
pub fn locked(version_lock: &str) -> Option<Version> {
    Version::parse(version_lock.strip_prefix('v').unwrap_or(version_lock)).ok()
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

/// Policies among which a cycle is looked for. Those of a longer one wait for each other all the same, and say for whom.
const MAX_REACHED: usize = 256;
/// Most names of a cycle that are told.
const MAX_TOLD: usize = 8;

/// The names on the shortest way from `policy` back to itself, both ends included, where each waits for the next. `after`
/// says whom every policy waits for. It is looked for among the 256 policies that lie nearest.
#[must_use]
pub fn cycle(policy: &str, after: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    // Whom each waits for, by whom it was reached from.
    let mut reached: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next_up = VecDeque::from([policy]);
    while let Some(at) = next_up.pop_front() {
        for next in after.get(at).into_iter().flatten() {
            if next == policy {
                let before = |name: &&str| reached.get(*name).copied();
                let mut way: Vec<_> = successors(Some(at), before).map(str::to_owned).collect();
                way.reverse();
                way.push(policy.to_owned());
                return Some(way);
            }
            if reached.len() < MAX_REACHED && !reached.contains_key(next.as_str()) {
                reached.insert(next, at);
                next_up.push_back(next);
            }
        }
    }
    None
}

/// A cycle in words, the middle of a long one left out.
#[must_use]
pub fn told(way: &[String]) -> String {
    match way {
        [first @ .., last] if way.len() > MAX_TOLD => {
            let named: Vec<_> = first.iter().take(MAX_TOLD - 2).map(String::as_str).collect();
            format!("{} after {} others after {last}", named.join(" after "), way.len() + 1 - MAX_TOLD)
        }
        _ => way.join(" after "),
    }
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
    fn a_long_cycle_is_told_in_short_and_a_longer_one_not_looked_for() {
        let circle = |length: usize| -> BTreeMap<String, Vec<String>> {
            (0..length).map(|at| (format!("p{at}"), vec![format!("p{}", (at + 1) % length)])).collect()
        };
        let way = cycle("p0", &circle(20)).unwrap();
        assert_eq!((way.len(), way[0].as_str(), way[20].as_str()), (21, "p0", "p0"));
        assert_eq!(told(&way), "p0 after p1 after p2 after p3 after p4 after p5 after 14 others after p0");
        assert_eq!(told(&way[..3]), "p0 after p1 after p2");
        assert!(cycle("p0", &circle(256)).is_some());
        assert_eq!(cycle("p0", &circle(10_000)), None);
    }

    #[test]
    fn a_lock_names_a_version_with_or_without_one_v() {
        assert_eq!([locked("1.20.0"), locked("v1.20.0")], [Some(Version::new(1, 20, 0)), Some(Version::new(1, 20, 0))]);
        for other in ["latest", "", "v", "V1.20.0", "vv1.20.0", "1.20", " 1.20.0"] {
            assert_eq!(locked(other), None, "{other}");
        }
    }

    #[test]
    fn names_are_those_of_kubernetes_objects() {
        assert!(["a", "canary-1", "pool.blue"].into_iter().all(is_policy_name));
        assert!(!["", "A", "-a", "a-", "a..b", "a_b", &"a".repeat(254)].into_iter().any(is_policy_name));
    }
}
