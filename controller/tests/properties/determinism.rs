//! Nothing but the snapshot decides.

use controller::plan::plan;
use controller::snapshot::{Parsed, Snapshot};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use crate::arbitrary::cluster;
use crate::cluster::Cluster;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_same_cluster_gives_the_same_plan(cluster in cluster()) {
        prop_assert_eq!(plan(&cluster.snapshot()), plan(&cluster.snapshot()));
    }

    #[test]
    fn the_order_in_which_objects_are_listed_does_not_matter(cluster in cluster()) {
        let raw = cluster.raw();
        let mut objects = raw.objects();
        objects.nodes.reverse();
        objects.shadows.reverse();
        objects.policies.reverse();
        prop_assert_eq!(plan(&Snapshot::build(cluster.now(), &objects)), plan(&cluster.snapshot()));
    }

    #[test]
    fn what_was_seen_before_does_not_matter(before in cluster(), cluster in cluster()) {
        let (before, raw) = (before.raw(), cluster.raw());
        let mut parsed = Parsed::default();
        parsed.snapshot(cluster.now(), &before.objects());
        let anew = Snapshot::build(cluster.now(), &raw.objects());
        prop_assert_eq!(plan(&parsed.snapshot(cluster.now(), &raw.objects())), plan(&anew));
    }
}

#[test]
fn now_is_read_from_the_snapshot_alone() {
    let cluster: Cluster = serde_json::from_value(json!({
        "now": "1971-01-01T00:00:00Z",
        "policies": {"one": {"nodeSelector": {}}},
        "nodes": {"a": {}},
        "shadows": {"a": {"status": {
            "current_state": "Idle", "current_version": "1.19.0", "target_version": "1.20.0", "crash_count": 0,
        }}},
    }))
    .unwrap();
    let plan = plan(&cluster.snapshot());
    assert_eq!(plan.actions[0].desired.since, Some("1971-01-01T00:00:00Z".parse::<Timestamp>().unwrap()));
}
