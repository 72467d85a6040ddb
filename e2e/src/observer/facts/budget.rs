//! A PodDisruptionBudget as the rules read it.

use std::collections::BTreeSet;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::Selector;

use super::version;

/// A PodDisruptionBudget.
#[derive(Debug, Clone)]
pub struct BudgetFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub version: u64,
    /// The pods it is about; `None` is none.
    pub selector: Option<Selector>,
    /// The pods whose eviction was granted and that the budget does not yet see gone.
    pub granted: BTreeSet<String>,
    /// How many more may go.
    pub allowed: i32,
}

impl From<&PodDisruptionBudget> for BudgetFacts {
    fn from(budget: &PodDisruptionBudget) -> Self {
        let meta = &budget.metadata;
        let status = budget.status.as_ref();
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            version: version(meta),
            selector: selector.and_then(|selector| selector.try_into().ok()),
            granted: status
                .and_then(|s| s.disrupted_pods.as_ref())
                .into_iter()
                .flatten()
                .map(|(p, _)| p.clone())
                .collect(),
            allowed: status.and_then(|status| status.disruptions_allowed).unwrap_or(0),
        }
    }
}
