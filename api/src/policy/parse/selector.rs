//! The nodes of a policy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::Selector;

use crate::label;
use crate::policy::fault::{Fault, Findings};

const FIELD: &str = "spec.nodeSelector";

/// Reads a selector. Keys and values that no label can have are refused as well: such a selector never means what it says.
pub(super) fn read(raw: &LabelSelector, findings: &mut Findings) -> Option<Selector> {
    let mut good = true;
    for (key, value) in raw.match_labels.iter().flatten() {
        let field = format!("{FIELD}.matchLabels[{key}]");
        good &= findings.take(&field, label::parse_key(key)).is_some();
        good &= findings.take(&field, label::parse_value(value)).is_some();
    }
    for (index, requirement) in raw.match_expressions.iter().flatten().enumerate() {
        good &= requirement_is_good(requirement, &format!("{FIELD}.matchExpressions[{index}]"), findings);
    }
    if !good {
        return None;
    }
    let selector: Result<Selector, kube::core::ParseExpressionError> = raw.clone().try_into();
    findings.take(FIELD, selector.map_err(|error| Fault::Limit(error.to_string())))
}

fn requirement_is_good(raw: &LabelSelectorRequirement, field: &str, findings: &mut Findings) -> bool {
    let has_values = raw.values.as_ref().is_some_and(|values| !values.is_empty());
    let operator = raw.operator.as_str();
    let fits = match (operator, has_values) {
        ("In" | "NotIn", true) | ("Exists" | "DoesNotExist", false) => Ok(()),
        ("In" | "NotIn", false) => Err((format!("{field}.values"), Fault::ValuesMissing(operator.to_owned()))),
        ("Exists" | "DoesNotExist", true) => Err((format!("{field}.values"), Fault::ValuesUnused(operator.to_owned()))),
        _ => Err((format!("{field}.operator"), Fault::Operator(operator.to_owned()))),
    };
    let mut good = findings.take(format!("{field}.key"), label::parse_key(&raw.key)).is_some();
    for (index, value) in raw.values.iter().flatten().enumerate() {
        good &= findings.take(format!("{field}.values[{index}]"), label::parse_value(value)).is_some();
    }
    match fits {
        Ok(()) => good,
        Err((field, fault)) => {
            findings.add(field, fault);
            false
        }
    }
}
