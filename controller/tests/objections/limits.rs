//! More nodes out together than a policy allows.

use controller::action::Verb;
use controller::check::{Broken, check};
use controller::plan::plan;

use crate::{assert_objects, node, outdated, renewing, set, verbs};

#[test]
fn it_objects_to_counts_beyond_a_limit() {
    let lowered = outdated(|cluster| set(cluster, "maxConcurrentUpdates", 2.into()));
    assert_objects(&lowered, "a", Verb::Start, Broken::InFlight);
    let (snapshot, plan) = outdated(|cluster| set(cluster, "maxConcurrentUpdates", 1.into()));
    let broken: Vec<_> = check(&snapshot, &plan).into_iter().map(|objection| objection.broken).collect();
    assert_eq!(broken, [Broken::InFlight, Broken::Disrupted]);
}

#[test]
fn it_objects_to_a_renewal_beyond_a_lowered_limit() {
    let (mut cluster, renewing) = renewing();
    set(&mut cluster, "maxConcurrentUpdates", 1.into());
    assert_objects(&(cluster.snapshot(), renewing), "b", Verb::Renew, Broken::Disrupted);
}

#[test]
fn an_approval_that_is_deleted_with_its_shadow_leaves_room_for_a_renewal() {
    let (mut cluster, _) = renewing();
    let of_b = cluster.shadows["b"].spec.clone();
    cluster.shadows.get_mut("c").unwrap().spec = of_b;
    node(&mut cluster, "c").unmanaged = true;
    set(&mut cluster, "maxConcurrentUpdates", 2.into());
    let snapshot = cluster.snapshot();
    let plan = plan(&snapshot);
    assert_eq!(verbs(&plan), [("b", Verb::Renew), ("c", Verb::Delete)]);
    assert_eq!(check(&snapshot, &plan), vec![]);
}

#[test]
fn it_objects_to_more_unavailable_nodes_than_allowed() {
    let lowered = outdated(|cluster| set(cluster, "maxUnavailable", 2.into()));
    assert_objects(&lowered, "a", Verb::Start, Broken::Unavailable);
}

#[test]
fn it_objects_to_nodes_of_two_zones_out_together() {
    let by_zone = outdated(|cluster| {
        set(cluster, "topologyKey", "zone".into());
        let zones = [("a", "one"), ("b", "two"), ("d", "two")];
        for (node, zone) in zones {
            cluster.nodes.get_mut(node).unwrap().labels.insert("zone".to_owned(), zone.to_owned());
        }
    });
    assert_objects(&by_zone, "a", Verb::Start, Broken::Topology);
}
