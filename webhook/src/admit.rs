//! Whether a policy is accepted.

use api::{Policy, UpdatePolicySpec};
use garde::Validate as _;

/// Judges one policy.
///
/// # Errors
/// One sentence that names the field and what would be right.
pub fn admit(spec: &UpdatePolicySpec) -> Result<(), String> {
    spec.validate().map_err(|report| {
        let first = report.iter().next().map(|(path, error)| format!("spec.{path}: {error}"));
        first.unwrap_or_else(|| "the policy is not valid".to_owned())
    })?;
    Policy::try_from(spec).map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(spec: serde_json::Value) -> Result<(), String> {
        admit(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_policy_that_the_controller_follows_is_accepted() {
        assert_eq!(verdict(json!({"nodeSelector": {}, "maxConcurrentUpdates": "10%"})), Ok(()));
    }

    #[test]
    fn a_refusal_names_the_field() {
        let refused = verdict(json!({"nodeSelector": {}, "maxConcurrentUpdates": 0})).unwrap_err();
        assert!(refused.starts_with("spec.maxConcurrentUpdates: 0 is not an amount"), "{refused}");
        let refused = verdict(json!({"nodeSelector": {}, "drain": {"timeout": "30"}})).unwrap_err();
        assert!(refused.starts_with("spec.drain.timeout: \"30\" is not a duration"), "{refused}");
        let refused = verdict(json!({"nodeSelector": {}, "health": {"timeout": "30m"}})).unwrap_err();
        assert_eq!(refused, "spec.health: not supported yet");
    }
}
