//! What a pause shows: `next[]`, which is what starts when nothing but the pause is lifted.

use std::collections::BTreeMap;

use controller::action::Verb;
use controller::plan::{Plan, plan};
use proptest::prelude::*;
use serde_json::json;

use crate::arbitrary::cluster;
use crate::cluster::Cluster;

fn paused(cluster: &Cluster, paused: bool) -> Plan {
    let mut cluster = cluster.clone();
    for policy in cluster.policies.values_mut() {
        policy["paused"] = json!(paused);
    }
    plan(&cluster.snapshot())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_next_under_a_pause_starts_without_it_and_nothing_else_does(cluster in cluster()) {
        let mut starts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for action in paused(&cluster, false).actions.iter().filter(|action| action.verb == Verb::Start) {
            let (policy, version) = (action.desired.policy.clone().unwrap(), action.desired.version.clone().unwrap());
            starts.entry(policy).or_default().push((action.node.clone(), version));
        }
        let mut next = paused(&cluster, true).next;
        next.values_mut().for_each(|nodes| nodes.sort());
        prop_assert_eq!(next, starts);
    }
}
