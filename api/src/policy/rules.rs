//! The rules of the CRD's schema that say in words what would be right (CEL), where the schema's own limits would answer
//! with a regular expression. Each is refused by the parser as well, in its own words.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::health::path::subset;
use crate::schedule::cron;
use crate::{duration, label, timestamp};

/// Most labels of a selector.
pub(super) const MAX_LABELS: usize = 32;
/// Most expressions of a selector.
pub(super) const MAX_EXPRESSIONS: usize = 16;
/// Most values of one expression.
pub(super) const MAX_VALUES: usize = 64;

/// A policy's name, as the promotion of another gives it.
const POLICY_NAME: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// What a semver range may consist of.
const CONSTRAINT: &str = "^[-+ 0-9A-Za-z.,<>=~^*]+$";
/// What the name of a time zone may consist of.
const TIME_ZONE: &str = "^[A-Za-z0-9_+/-]+$";

fn rule(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

/// Holds a text against a pattern.
fn matches(pattern: &str, message: &str) -> Value {
    rule(&format!("self.matches(r'{pattern}')"), message)
}

fn add(schema: &mut Schema, rules: Vec<Value>) {
    schema.insert("x-kubernetes-validations".to_owned(), Value::Array(rules));
}

pub(super) fn duration(schema: &mut Schema) {
    let form = "write a duration with units, in this order: d, h, m, s; for example 30m, 1h30m or 3d";
    add(schema, vec![matches(duration::PATTERN, form), matches("[1-9]", "a duration must be longer than zero")]);
}

pub(super) fn cron(schema: &mut Schema) {
    let form = "write five cron fields, for example 0 2 * * 1-5 (minute, hour, day of month, month, weekday)";
    let days = "both the day of month and the weekday are restricted: leave one of them *, or write two windows";
    let one_day_field = format!("!self.matches(r'{}') || self.matches(r'{}')", cron::PATTERN, cron::ONE_DAY_FIELD);
    add(schema, vec![matches(cron::PATTERN, form), rule(&one_day_field, days)]);
}

pub(super) fn time_zone(schema: &mut Schema) {
    add(schema, vec![matches(TIME_ZONE, "write the IANA name of a time zone, for example Europe/Berlin or UTC")]);
}

pub(super) fn time(schema: &mut Schema) {
    let form = "write RFC 3339 with an offset, for example 2026-12-20T00:00:00+01:00";
    add(schema, vec![matches(timestamp::PATTERN, form)]);
}

pub(super) fn blackout(schema: &mut Schema) {
    let form = timestamp::PATTERN;
    let order = format!(
        "!self.start.matches(r'{form}') || !self.end.matches(r'{form}') || timestamp(self.start) < timestamp(self.end)"
    );
    let mut rule = rule(&order, "a blackout must end after it starts");
    rule["fieldPath"] = json!(".end");
    add(schema, vec![rule]);
}

pub(super) fn constraint(schema: &mut Schema) {
    add(schema, vec![matches(CONSTRAINT, "write a semver range, for example >=1.19, <1.21")]);
}

pub(super) fn policy_name(schema: &mut Schema) {
    add(schema, vec![matches(POLICY_NAME, "write the name of a policy: lower-case letters, digits, - and .")]);
}

pub(super) fn json_path(schema: &mut Schema) {
    let form = "write RFC 9535 JSONPath, which begins with $: kubectl's {.spec.unschedulable} is $.spec.unschedulable";
    let within = "write $ and at most 8 steps, each .name, ['name'], [*], [0] or a filter such as \
                  [?@.type=='DiskPressure'] of at most 8 comparisons joined by && or ||: no functions, no .., no lists in a \
                  bracket, no filter in a filter, no $ in a filter";
    let subset = format!("!self.startsWith('$') || self.matches(r'{}')", *subset::PATTERN);
    add(schema, vec![rule("self.startsWith('$')", form), rule(&subset, within)]);
}

pub(super) fn label_key(schema: &mut Schema) {
    add(schema, vec![matches(label::KEY_PATTERN, "write a label key, for example topology.kubernetes.io/zone")]);
}

/// The rule about the whole object.
pub(crate) fn not_after_itself() -> Value {
    let rule = "!has(self.spec.versions) || !has(self.spec.versions.after) || \
                self.spec.versions.after.all(a, a.policy != self.metadata.name)";
    json!({
        "rule": rule, "fieldPath": ".spec.versions.after",
        "message": "a policy cannot wait for itself: name the policy whose nodes go first",
    })
}

/// The schema of a number or a percentage.
pub(super) fn amount(_: &mut SchemaGenerator) -> Schema {
    let right = "type(self) == int ? self >= 1 && self <= 100000 : self.matches(r'^([1-9][0-9]?|100)%$')";
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "x-kubernetes-validations": [rule(right, "write a number from 1 to 100000, or a percentage from \"1%\" to \"100%\"")],
    })
}

/// As [`amount`]; 1 when it is left out.
pub(super) fn halt_after(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = amount(generator);
    schema.insert("default".to_owned(), json!(1));
    schema
}

/// As [`amount`], and the word `unlimited`; 1 when it is left out.
pub(super) fn limit(_: &mut SchemaGenerator) -> Schema {
    let right = "type(self) == int ? self >= 1 && self <= 100000 : self == 'unlimited' || self.matches(r'^([1-9][0-9]?|100)%$')";
    let words =
        "write a number from 1 to 100000, a percentage from \"1%\" to \"100%\", or \"unlimited\"; to stop, set paused";
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "x-kubernetes-validations": [rule(right, words)],
        "default": 1,
        "nullable": false,
    })
}

/// The schema of `metav1.LabelSelector`, with bounds and with the rules that Kubernetes itself has for it.
pub(super) fn selector(_: &mut SchemaGenerator) -> Schema {
    let labels = format!(
        "self.all(k, size(k) <= 317 && k.matches(r'{}') && self[k].matches(r'{}'))",
        label::KEY_PATTERN,
        label::VALUE_PATTERN
    );
    let values = "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 \
                  : !has(self.values) || size(self.values) == 0";
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "description": "Labels with the values they must have. Example: `{pool: blue}`.",
                "type": "object", "maxProperties": MAX_LABELS,
                "additionalProperties": {"type": "string", "maxLength": 63},
                "x-kubernetes-validations": [rule(&labels, "write label keys and values as Kubernetes has them, for example pool: blue")],
            },
            "matchExpressions": {
                "description": "Further conditions, all of which must hold.",
                "type": "array", "maxItems": MAX_EXPRESSIONS, "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One condition.",
                    "type": "object", "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label. Example: `topology.kubernetes.io/zone`.",
                            "type": "string", "minLength": 1, "maxLength": 317,
                            "x-kubernetes-validations": [matches(label::KEY_PATTERN, "write a label key, for example topology.kubernetes.io/zone")],
                        },
                        "operator": {
                            "description": "`In` and `NotIn` compare with `values`; `Exists` and `DoesNotExist` ask for the label alone. Example: `In`.",
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values to compare with. Example: `[eu-central-1a]`.",
                            "type": "array", "maxItems": MAX_VALUES, "x-kubernetes-list-type": "atomic",
                            "items": {
                                "description": "One value.", "type": "string", "maxLength": 63,
                                "x-kubernetes-validations": [matches(label::VALUE_PATTERN, "write a label value: letters, digits, -, _ and .")],
                            },
                        },
                    },
                    "x-kubernetes-validations": [rule(values, "In and NotIn need values, Exists and DoesNotExist take none")],
                },
            },
        },
        "x-kubernetes-map-type": "atomic",
    })
}
