//! Which policy applies to a node.

use std::collections::BTreeMap;

use api::names::{UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION};
use kube::core::SelectorExt as _;

use super::facts::PolicyFacts;
use super::views::View;

/// The policy that applies to a node with these labels: of those that select it the one of the highest priority, accepted
/// or not.
///
/// # Errors
/// When there is none, in words.
pub(super) fn owner<'a>(view: &'a View, labels: &BTreeMap<String, String>) -> Result<&'a PolicyFacts, String> {
    if labels.get(UPDATER_INTERFACE_LABEL).is_none_or(|value| value != UPDATER_INTERFACE_VERSION) {
        return Err("the node is not managed".to_owned());
    }
    // A selector that cannot be read may select any node.
    let selects = |policy: &&PolicyFacts| policy.selector.as_ref().is_none_or(|selector| selector.matches(labels));
    let claims: Vec<_> = view.policies.values().filter(selects).collect();
    let highest = claims.iter().map(|policy| policy.priority).max().ok_or("no policy selects the node")?;
    let mut first = claims.into_iter().filter(|policy| policy.priority == highest);
    match (first.next(), first.next()) {
        (Some(only), None) => Ok(only),
        (Some(one), Some(other)) => Err(format!("policies {} and {} are in conflict", one.name, other.name)),
        (None, _) => Err("no policy selects the node".to_owned()),
    }
}
