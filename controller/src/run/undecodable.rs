//! Statuses of policies that cannot be decoded. Their watch shows no status, so what was written is remembered: otherwise it
//! would be written again in each round.

use std::collections::BTreeMap;

use api::UpdatePolicyStatus;

use crate::snapshot::PolicyFacts;

/// What was written, by policy, with the uid of the object it was written on.
#[derive(Debug, Default)]
pub(super) struct UndecodableStatuses(BTreeMap<String, (String, UpdatePolicyStatus)>);

impl UndecodableStatuses {
    /// Takes in that a status was written on `facts`' object.
    pub(super) fn wrote(&mut self, facts: &PolicyFacts, status: &UpdatePolicyStatus) {
        if is_undecodable(facts) {
            self.0.insert(facts.name.clone(), (facts.uid.clone(), status.clone()));
        }
    }

    /// Gives the policies that cannot be decoded the status they were last written, and forgets the others'.
    pub(super) fn fill(&mut self, policies: &mut BTreeMap<String, PolicyFacts>) {
        self.0.retain(|name, (uid, _)| {
            policies.get(name).is_some_and(|facts| is_undecodable(facts) && facts.uid == *uid)
        });
        for (name, (_, status)) in &self.0 {
            if let Some(facts) = policies.get_mut(name) {
                facts.status = Some(status.clone());
            }
        }
    }
}

/// Of what can be decoded at least the priority is known.
const fn is_undecodable(facts: &PolicyFacts) -> bool {
    facts.priority.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::DeserializeGuard;

    fn policies(uid: &str, priority: &str) -> BTreeMap<String, PolicyFacts> {
        let text = format!(
            r#"{{"apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
                "metadata": {{"name": "p", "uid": "{uid}"}}, "spec": {{"nodeSelector": {{}}, "priority": {priority}}}}}"#
        );
        let policy: DeserializeGuard<api::UpdatePolicy> = serde_json::from_str(&text).unwrap();
        BTreeMap::from([("p".to_owned(), PolicyFacts::read(&policy))])
    }

    #[test]
    fn the_status_of_a_policy_that_cannot_be_decoded_is_what_was_written_on_it() {
        let mut undecodable = UndecodableStatuses::default();
        let status = UpdatePolicyStatus { observed_generation: Some(7), ..UpdatePolicyStatus::default() };
        let mut broken = policies("u1", r#""x""#);
        undecodable.fill(&mut broken);
        assert_eq!(broken["p"].status, None);
        undecodable.wrote(&broken["p"], &status);
        undecodable.fill(&mut broken);
        assert_eq!(broken["p"].status, Some(status));
        // Another object of the same name was never written, and one that can be decoded shows its own.
        for mut other in [policies("u2", r#""x""#), policies("u1", "0")] {
            undecodable.fill(&mut other);
            assert_eq!(other["p"].status, None);
        }
    }
}
