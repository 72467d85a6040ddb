//! What is accepted and may still surprise its author.

mod beside;
mod deletion;
mod itself;

use api::{Policy, UpdatePolicy};

use crate::cluster::Cluster;
pub use deletion::of_deletion;

/// Warnings about a policy: what it says itself, and what it means beside others.
#[must_use]
pub fn of_policy(raw: &UpdatePolicy, policy: &Policy, cluster: Option<&Cluster>) -> Vec<String> {
    let name = raw.metadata.name.as_deref().unwrap_or_default();
    let matched = cluster.map(|cluster| cluster.selected(&policy.selector).count());
    let mut warnings = itself::warnings(policy, matched);
    if let Some(cluster) = cluster {
        warnings.extend(beside::warnings(name, policy, cluster));
    }
    warnings
}

/// At most this many names in one sentence.
const NAMED: usize = 3;

/// A few names, and how many more there are.
fn some(names: &[&str]) -> String {
    let first = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// `1 node`, `2 nodes`.
fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}
