//! More room never starts or approves fewer nodes.

use controller::action::Verb;
use controller::plan::plan;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::arbitrary::cluster;
use crate::cluster::Cluster;
use crate::count;

/// How many nodes begin with `field` of every policy set to `value`.
fn begin(cluster: &Cluster, verb: Verb, field: &str, value: &Value) -> usize {
    let mut cluster = cluster.clone();
    for spec in cluster.policies.values_mut() {
        spec[field] = value.clone();
    }
    count(&plan(&cluster.snapshot()), verb)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_higher_limit_starts_no_fewer_nodes(cluster in cluster(), limit in 1..4_i32) {
        let starts = |limit: i32| begin(&cluster, Verb::Start, "maxConcurrentUpdates", &json!(limit));
        prop_assert!(starts(limit) <= starts(limit + 1));
        let unlimited = begin(&cluster, Verb::Start, "maxConcurrentUpdates", &json!("unlimited"));
        prop_assert!(starts(limit) <= unlimited);
    }

    #[test]
    fn a_higher_limit_gives_no_fewer_approvals(cluster in cluster(), limit in 1..4_i32) {
        let approvals = |limit: i32| begin(&cluster, Verb::Approve, "maxConcurrentUpdates", &json!(limit));
        prop_assert!(approvals(limit) <= approvals(limit + 1));
    }

    #[test]
    fn a_higher_maximum_of_unavailable_nodes_starts_no_fewer_nodes(cluster in cluster(), most in 1..4_i32) {
        let starts = |most: i32| begin(&cluster, Verb::Start, "maxUnavailable", &json!(most));
        prop_assert!(starts(most) <= starts(most + 1));
    }

    #[test]
    fn a_halt_that_bears_more_failures_starts_no_fewer_nodes(cluster in cluster(), most in 1..4_i32) {
        let starts = |most: i32| begin(&cluster, Verb::Start, "failures", &json!({"haltAfter": most}));
        prop_assert!(starts(most) <= starts(most + 1));
    }

    #[test]
    fn an_open_schedule_starts_and_gives_no_fewer_approvals(cluster in cluster()) {
        for verb in [Verb::Start, Verb::Approve] {
            prop_assert!(count(&plan(&cluster.snapshot()), verb) <= begin(&cluster, verb, "schedule", &Value::Null));
        }
    }
}
