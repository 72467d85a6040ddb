//! What the operator was allowed to ask of Kubernetes, held against what it asked.
//!
//! ```text
//! manifest ─► Grant, one for each verb on each resource ─┐
//! audit log ─► Request ──────────────────────────────────┴─► refused, unused
//! ```

mod grant;
mod request;

use std::collections::BTreeSet;

pub use grant::{Grant, grants};
pub use request::{Request, requests};

/// The grants that none of the requests needed. A request that a grant in its namespace covers does not need one for the
/// whole cluster.
#[must_use]
pub fn unused(grants: &BTreeSet<Grant>, requests: &[Request]) -> BTreeSet<Grant> {
    let covers = |grant: &Grant| {
        let needs = |request: &&Request| {
            grant.covers(request) && !grants.iter().any(|other| other.covers_closer(grant, request))
        };
        requests.iter().any(|request| needs(&request))
    };
    grants.iter().filter(|grant| !covers(grant)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::Manifest;

    const ROLES: &str = "
kind: ClusterRole
metadata: {name: wide}
rules:
- {apiGroups: [\"\"], resources: [pods], verbs: [list, delete]}
---
kind: ClusterRoleBinding
metadata: {name: wide}
roleRef: {kind: ClusterRole, name: wide}
subjects: [{kind: ServiceAccount, namespace: ours, name: program}]
---
kind: Role
metadata: {name: narrow, namespace: ours}
rules:
- {apiGroups: [\"\"], resources: [pods], verbs: [list]}
---
kind: RoleBinding
metadata: {name: narrow, namespace: ours}
roleRef: {kind: Role, name: narrow}
subjects: [{kind: ServiceAccount, namespace: ours, name: program}]
";

    fn log(verb: &str, namespace: &str, decision: &str, code: u16) -> String {
        format!(
            r#"{{"verb":"{verb}","user":{{"username":"system:serviceaccount:ours:program"}},"objectRef":{{"resource":"pods","namespace":"{namespace}"}},"responseStatus":{{"code":{code}}},"annotations":{{"authorization.k8s.io/decision":"{decision}"}}}}"#
        )
    }

    #[test]
    fn a_grant_for_the_cluster_is_not_used_by_what_a_namespace_allows() {
        let grants = grants(&Manifest::parse(ROLES).unwrap());
        assert_eq!(grants.len(), 3);
        let left = |lines: &[String]| {
            let requests = requests(&lines.join("\n"), "ours");
            unused(&grants, &requests).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let inside = log("list", "ours", "allow", 200);
        assert_eq!(left(std::slice::from_ref(&inside)), ["program: delete pods", "program: list pods"]);
        let everywhere = [inside, log("list", "", "allow", 200), log("delete", "theirs", "allow", 200)];
        assert!(left(&everywhere).is_empty());
    }

    #[test]
    fn only_what_the_authorizer_forbids_counts_as_refused() {
        let lines = [log("delete", "theirs", "forbid", 403), log("delete", "theirs", "allow", 403)];
        let requests = requests(&lines.join("\n"), "ours");
        assert_eq!(requests.iter().map(|request| request.forbidden).collect::<Vec<_>>(), [true, false]);
    }
}
