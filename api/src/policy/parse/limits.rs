//! The limits of the schema, held against the Rust types by garde.

use garde::Validate as _;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::policy::fault::{Fault, Findings};
use crate::policy::{UpdatePolicySpec, selector_is_bounded};

/// Notes every field that is longer, shorter, larger or smaller than the schema allows.
pub(super) fn note(spec: &UpdatePolicySpec, findings: &mut Findings) {
    let Err(report) = spec.validate() else { return };
    for (path, error) in report.iter() {
        findings.add(format!("spec.{}", camel_case(&path.to_string())), Fault::Limit(error.to_string()));
    }
}

/// The same of the selector alone; `None` where it is larger.
pub(super) fn note_selector(selector: &LabelSelector, findings: &mut Findings) -> Option<()> {
    let bounded = selector_is_bounded(selector, &());
    findings.take("spec.nodeSelector", bounded.map_err(|error| Fault::Limit(error.to_string())))
}

/// garde has the fields' names in Rust.
fn camel_case(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut upper = false;
    for c in path.chars() {
        match (c, upper) {
            ('_', _) => upper = true,
            (c, true) => {
                camel.push(c.to_ascii_uppercase());
                upper = false;
            }
            (c, false) => camel.push(c),
        }
    }
    camel
}
