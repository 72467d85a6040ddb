//! No policy costs a judgement more than its length: the texts of `api/tests/growth/corpus.json` in every field that takes one.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

use std::time::{Duration, Instant};

use api::{UpdatePolicy, text};
use serde_json::{Value, json};
use webhook::admit::{Change, advise, judge};

/// Longest that one judgement may take; they take milliseconds, also in a debug build on a busy machine.
const CAP: Duration = Duration::from_secs(60);

fn policy(says: &str, paused: bool) -> UpdatePolicy {
    let spec = json!({
        "paused": paused,
        "nodeSelector": {"matchLabels": {says: says}, "matchExpressions": [{"key": says, "operator": says, "values": [says]}]},
        "maxConcurrentUpdates": says, "maxUnavailable": says, "topologyKey": says,
        "schedule": {
            "timeZone": says, "windows": [{"start": says, "duration": says}],
            "blackouts": [{"start": says, "end": says, "reason": says}],
        },
        "versions": {"constraint": says, "minimumAge": says, "after": [{"policy": says, "soak": says}]},
        "drain": {"timeout": says},
        "health": {"timeout": says, "checks": [{"name": says, "node": {"jsonPath": says, "expect": [says]}}]},
        "failures": {"haltAfter": says},
    });
    let policy = json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "metadata": {"name": "odd"}, "spec": spec,
    });
    serde_json::from_value(policy).unwrap()
}

#[test]
fn a_judgement_takes_a_bounded_time_whatever_a_policy_says() {
    let corpus: Vec<Value> = serde_json::from_str(include_str!("../../api/tests/growth/corpus.json")).unwrap();
    for growing in corpus {
        let part = |part: &str| growing[part].as_str().unwrap();
        for times in [5, 14, 31, 60, 200, 20_000] {
            let says = format!("{}{}{}", part("begin"), part("repeat").repeat(times), part("end"));
            let (paused, running) = (policy(&says, true), policy(&says, false));
            let started = Instant::now();
            assert!(!judge(&Change::Create(&running), None).refused.is_empty(), "{growing} {times} times");
            assert!(!judge(&Change::Update(Some(&paused), &running), None).refused.is_empty());
            let advice = advise(&Change::Update(Some(&running), &paused), None);
            assert!(advice.refused.is_empty() && !advice.warnings.is_empty());
            assert!(text::is_line(&text::line(&advice.warnings.join(" "), 8192)));
            let took = started.elapsed();
            assert!(took < CAP, "{growing} {times} times: {took:?}");
        }
    }
}
